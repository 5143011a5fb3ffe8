package checksum_test

import (
	"fmt"
	"hash"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/seed-175555ba/tus-go/checksum"
)

// Add an algorithm that is not built in.
func Example() {
	algorithms := append(checksum.Builtin(), checksum.Algorithm{
		Name: "xxh3",
		New:  func() hash.Hash { return xxh3.New() },
	})
	for _, a := range algorithms {
		fmt.Print(a.Name, " ")
	}
	// Output: sha256 sha1 sha512 md5 crc32 xxh3
}

// Leave out the algorithms that are slow.
func ExampleBuiltin() {
	fast := slices.DeleteFunc(checksum.Builtin(), func(a checksum.Algorithm) bool {
		return a.Name == "sha512" || a.Name == "md5"
	})
	for _, a := range fast {
		fmt.Print(a.Name, " ")
	}
	// Output: sha256 sha1 crc32
}
