// Package checksum is the client's side of the Checksum extension of tus: which
// algorithm to use with a server, how a checksum is written in a header, and
// how to compute it without slowing the upload down.
//
// A [Set] holds the algorithms that the client knows, a [Choice] says which one
// the user wants, and [Set.Negotiate] brings both together with what the
// server advertises. A [Pipeline] hashes the next chunk while the current one
// is on the wire.
//
// The checksum travels with the data on one connection. It finds what disks,
// memory and middleboxes break, and is no defence against somebody who can
// change the data: such a one changes the checksum as well.
//
// # Order of preference
//
// Left the choice, a client takes the first of sha256, sha1, sha512, md5 and
// crc32 that the server advertises: the strongest one that is cheap. One core
// of a server with SHA instructions hashes, in MB/s,
//
//	sha256   sha1  sha512   md5   crc32
//	  1690   1910     710   770   29800
//
// so sha256 costs hardly more than sha1. sha1 comes before sha512 because it is
// much faster, and no less good at finding damage; its known weakness needs an
// attacker. md5 is slow and weak, but 128 bits find what the 32 of crc32 may
// miss, once in four billion damaged chunks.
package checksum
