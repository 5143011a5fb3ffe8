// Package fingerprint tells whether the source of an interrupted upload is
// still the one it was, so that the upload can be found again and goes on
// where it stopped.
//
// A [Fingerprinter] turns a source into a short string: the same string means
// the same source. [Sample], the default of the client, looks at size,
// modification time, version and a bounded sample of the content. [Content]
// reads everything and trusts nothing else; [Stat] reads nothing. [Func] is
// for an identity of your own, such as the key of an asset in a database.
// [Key] combines a fingerprint with the place that the upload goes to.
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
// digits, such as "sample1-1048576-99aa06d3014798d86001c324468d497f". They are
// at most 60 bytes of letters, digits and "-", and start with a letter: safe
// as a file name and as an argument on a command line. If what is hashed ever
// changes, the version changes with it. What follows is therefore fixed for
// version 1, on every machine and in every release.
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
// Then
//
//   - sample1 hashes the facts, followed by the whole content if the size is at
//     most 1048576 (1 MiB), otherwise by 64 blocks of 16384 bytes. Block i, from
//     0 to 63, starts at byte i*(size-16384)/63, rounded down: the first block
//     is at the start, the last one at the end, and none overlap.
//   - content1 hashes the content and nothing else, so its hash is the one that
//     the program xxh128sum prints.
//   - stat1 hashes the facts, followed by the length of Name in bytes (8 bytes)
//     and Name.
//
// [Key] hashes the SHA-256 of these four byte strings, each preceded by its
// length (8 bytes): the four bytes "key1", the fingerprint, the scope and the
// resume key. The first 16 bytes of the sum are written in hexadecimal.
package fingerprint
