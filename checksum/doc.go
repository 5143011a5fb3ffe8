// Package checksum defines the checksum algorithms of package tus, which detect chunks
// that were corrupted in transit (extension Checksum of tus).
//
// UploadOptions.Checksum selects an algorithm. Options.Checksums adds algorithms to
// those of [Builtin], or changes their order:
//
//	algorithms := append(checksum.Builtin(), checksum.Algorithm{Name: "xxh3", New: newXXH3})
//	client, err := tus.NewClient(endpoint, &tus.Options{Checksums: algorithms})
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
