// Package checksum implements the client side of the Checksum extension of tus: it
// selects an algorithm and formats headers.
//
// A [Set] holds the algorithms of the client, a [Choice] selects one of them, and
// [Set.Negotiate] combines both with the algorithms that the server advertises.
//
// A checksum detects corruption by disks, memory and middleboxes. It does not protect
// against an attacker who can change the data, because the checksum is sent with the
// data and can be changed as well.
//
// # Order of preference
//
// By default, a client uses the first of sha256, sha1, sha512, md5 and crc32 that the
// server advertises. One core of a server with SHA instructions hashes, in MB/s,
//
//	sha256   sha1  sha512   md5   crc32
//	  1690   1910     710   770   29800
//
// so sha256 costs hardly more than sha1. sha1 comes before sha512 because it is much
// faster and detects corruption as well; its known weakness matters only against an
// attacker. md5 is slow and weak, but has 128 bits: the 32 bits of crc32 miss one in
// four billion corrupt chunks.
package checksum
