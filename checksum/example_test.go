package checksum_test

import (
	"context"
	"fmt"
	"hash"
	"io"
	"log"
	"slices"
	"strings"

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

func ExamplePipeline() {
	const data, chunk = "hello tus world!", 8
	ctx := context.Background()
	algorithm := checksum.Builtin()[4] // crc32
	p := checksum.NewPipeline(algorithm, func(_ context.Context, offset int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(data[offset:])), nil
	})
	defer p.Close()
	for offset := int64(0); offset < int64(len(data)); offset += chunk {
		sum, err := p.Sum(ctx, offset, chunk)
		if err != nil {
			log.Fatal(err)
		}
		if next := offset + chunk; next < int64(len(data)) {
			p.Ahead(ctx, next, chunk) // while this chunk is sent
		}
		fmt.Printf("%d %s %x\n", offset, algorithm.Name, sum)
	}
	// Output:
	// 0 crc32 ac62cabc
	// 8 crc32 480649cd
}
