// Package fingerprint computes fingerprints of sources, to find the stored upload of
// a source and to detect that the source has changed since.
//
// A [Fingerprinter] returns a short string for a source: equal strings mean the same
// source. [Sample] covers name, size, modification time, version and a sample of at
// most 1 MiB of the content. [Content] covers the size and the whole content. [Stat]
// reads no content. [Func] is for custom fingerprints, such as the key of an asset in
// a database.
//
// # How to fingerprint files
//
// The name of a file is its absolute path, so two files of equal size and time, such
// as those of reproducible builds, have different fingerprints. With [Sample] and
// [Stat], a file that was renamed, moved or copied is a new source. To resume its
// upload, use [Content], or set UploadOptions.ResumeKey of package tus, which replaces
// the name.
//
// By default, a client uses [Sample] if the source has a modification time or a
// version, and otherwise [Content]: for data in memory, an io.ReaderAt or an embed.FS.
// It also uses [Content] for the files of an fs.FS that is not of the operating
// system, unless ResumeKey is set, because it cannot distinguish two such file
// systems. Content reads the whole source once before the first request of an upload,
// and only if the client has a store.
//
// [Sample] does not detect a change outside the sampled blocks that keeps name, size,
// modification time and version. Up to 1 MiB, all bytes are sampled. In a larger file,
// such a change is possible by a program that writes in place and resets the time
// (some disk images and encrypted containers), a copy that keeps the time of another
// file, and a write within the resolution of the file system's clock (two seconds on
// FAT). If the fraction p of the file changes at scattered offsets, the probability
// that no block contains a change is about (1-p)^62. Use [Content] for such files.
//
// A fingerprint protects against mistakes, not against attacks: xxh3 is not
// a cryptographic hash, so an attacker can create two files with the same fingerprint.
//
// # Form
//
// The fingerprints of this package are
//
//	<scheme><version>-<size>-<hash>
//
// with the size in decimal digits and the hash in 32 lower-case hexadecimal
// digits, such as "sample2-1048576-99aa06d3014798d86001c324468d497f". They are
// at most 60 bytes of letters, digits and "-", and start with a letter: safe
// as a file name and as an argument on a command line. If the hashed data changes in
// a later release, the version changes too. The encoding below never changes for
// a version, on any machine and in any release.
//
// # Bytes
//
// The hash is XXH3 with 128 bits and seed 0, as specified by xxHash 0.8,
// written in its canonical (big-endian) form. Integers are big-endian. The
// attributes of a source are encoded as
//
//	8 bytes  size in bytes
//	8 bytes  seconds of ModTime since 1970-01-01 UTC, two's complement
//	4 bytes  nanoseconds of ModTime within the second, 0 to 999999999
//	8 bytes  length of Version in bytes
//	n bytes  Version
//
// where a zero ModTime has -62135596800 seconds, as [time.Time.Unix] returns. The
// name is encoded as the length of Name in bytes (8 bytes) followed by Name.
//
//   - sample2 hashes the attributes and the name, followed by the whole content if the
//     size is at most 1048576 (1 MiB), otherwise by 64 blocks of 16384 bytes. Block 0
//     is at the start and block 63 at the end. Block i of the others starts at byte
//     s(i) + h mod (s(i+1) - s(i) - 16383), where s(i) is
//     16384 + (i-1)*(size-32768)/62, rounded down, and h is the XXH3 with 64 bits and
//     seed 0 of the attributes, the name and i (8 bytes). No blocks overlap.
//   - content1 hashes only the content, so its hash is the output of the program
//     xxh128sum.
//   - stat1 hashes the attributes and the name.
package fingerprint
