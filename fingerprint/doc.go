// Package fingerprint tells whether the source of an interrupted upload is
// still the one it was, so that the upload can be found again and goes on
// where it stopped.
//
// A [Fingerprinter] turns a source into a short string: the same string means
// the same source. [Sample] covers name, size, modification time, version and a
// bounded sample of the content. [Content] covers the whole content and nothing else.
// [Stat] reads nothing. [Func] is for an identity of your own, such as the key of an
// asset in a database. [Key] combines a fingerprint with the place that the upload
// goes to.
//
// # Which one to use
//
// The name of a file is its absolute path, so that two files of equal size and time,
// as reproducible builds make them, are two sources. With [Sample] and [Stat], a file
// that was renamed, moved or copied is therefore a new source. To resume its upload
// all the same, use [Content], or set UploadOptions.ResumeKey of package tus, which
// takes the place of the name.
//
// Without a Fingerprinter of its own, a client uses [Sample] where the source has a
// modification time or a version, and [Content] otherwise: data in memory, behind an
// io.ReaderAt or in an embed.FS. It also uses [Content] for files of an fs.FS that is
// not of the operating system, unless a ResumeKey is set, because nothing tells two
// such file systems apart. Content reads the whole source once before the first
// request of an upload, and only where the client has a store.
//
// [Sample] cannot detect a change between two sessions that keeps name, size,
// modification time and version and lies outside the sampled blocks. Up to 1 MiB
// there is no such place. Above, a program that writes a file in place and sets its
// time back (some disk images and encrypted containers), a copy that keeps the time
// of another file, and writes within the resolution of the file system's clock (two
// seconds on FAT) can make such a change; where it touches a share p of the file in
// scattered places, about (1-p)^62 is the probability that no block shows it. Use
// [Content] for such files.
//
// A fingerprint guards against mistakes, not against malice: xxh3 is fast and
// mixes well, but somebody who wants two files with one fingerprint can make
// them.
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
// as a file name and as an argument on a command line. If what is hashed ever
// changes, the version changes with it. What follows is therefore fixed for
// these versions, on every machine and in every release.
//
// # Bytes
//
// The hash is XXH3 with 128 bits and seed 0, as specified by xxHash 0.8,
// written in its canonical (big-endian) form. Integers are big-endian. The
// facts of a source are encoded as
//
//	8 bytes  size in bytes
//	8 bytes  seconds of ModTime since 1970-01-01 UTC, two's complement
//	4 bytes  nanoseconds of ModTime within the second, 0 to 999999999
//	8 bytes  length of Version in bytes
//	n bytes  Version
//
// where a zero ModTime has -62135596800 seconds, as [time.Time.Unix] returns.
// and the name as the length of Name in bytes (8 bytes) followed by Name. Then
//
//   - sample2 hashes the facts and the name, followed by the whole content if the
//     size is at most 1048576 (1 MiB), otherwise by 64 blocks of 16384 bytes. Block 0
//     is at the start and block 63 at the end. Block i of the others starts at byte
//     s(i) + h mod (s(i+1) - s(i) - 16383), where s(i) is
//     16384 + (i-1)*(size-32768)/62, rounded down, and h is the XXH3 with 64 bits and
//     seed 0 of the facts, the name and i (8 bytes). No blocks overlap.
//   - content1 hashes the content and nothing else, so its hash is the one that
//     the program xxh128sum prints.
//   - stat1 hashes the facts and the name.
//
// [Key] hashes the SHA-256 of these four byte strings, each preceded by its
// length (8 bytes): the four bytes "key1", the fingerprint, the scope and the
// resume key. The first 16 bytes of the sum are written in hexadecimal.
package fingerprint
