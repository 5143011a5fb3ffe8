package checksum_test

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"log"

	"github.com/zeebo/xxh3"

	"github.com/seed-175555ba/tus-go/checksum"
)

// Negotiate an algorithm and format the header of a chunk.
func Example() {
	advertised := checksum.ParseAlgorithms([]string{"md5, sha1", "crc32"})
	algorithm, ok, err := checksum.Builtin().Negotiate(checksum.Auto(), advertised)
	if err != nil {
		log.Fatal(err)
	}
	if !ok {
		return // the server supports no known algorithm
	}
	h := algorithm.New()
	io.WriteString(h, "hello world")
	fmt.Println("Upload-Checksum:", checksum.FormatHeader(algorithm.Name, h.Sum(nil)))
	// Output: Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=
}

// Register an algorithm that is not built in.
func ExampleSet_Register() {
	set := checksum.Builtin()
	err := set.Register(checksum.Algorithm{Name: "xxh3", New: func() hash.Hash { return xxh3.New() }})
	if err != nil {
		log.Fatal(err)
	}
	algorithm, _, err := set.Negotiate(checksum.Named("xxh3"), []string{"sha1", "xxh3"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(algorithm.Name, set.Names())
	// Output: xxh3 [sha256 sha1 sha512 md5 crc32 xxh3]
}

// A set of cheap algorithms, crc32 first.
func ExampleSet() {
	builtin := checksum.Builtin()
	var cheap checksum.Set
	for _, name := range []string{"crc32", "sha1"} {
		algorithm, _ := builtin.Lookup(name)
		if err := cheap.Register(algorithm); err != nil {
			log.Fatal(err)
		}
	}
	algorithm, ok, err := cheap.Negotiate(checksum.Auto(), []string{"sha256", "sha1", "crc32"})
	fmt.Println(algorithm.Name, ok, err)
	// Output: crc32 true <nil>
}

func ExampleSet_Negotiate() {
	_, _, err := checksum.Builtin().Negotiate(checksum.Named("sha512"), []string{"sha1", "md5"})
	fmt.Println(errors.Is(err, checksum.ErrChecksumUnsupported))
	fmt.Println(err)
	// Output:
	// true
	// checksum: algorithm not supported: server does not advertise "sha512", only "sha1", "md5"
}

// Set a choice with a flag.
func ExampleChoice() {
	flags := flag.NewFlagSet("upload", flag.ContinueOnError)
	var choice checksum.Choice
	flags.TextVar(&choice, "checksum", checksum.Auto(), "auto, off, or the `name` of an algorithm")
	if err := flags.Parse([]string{"-checksum", "SHA256"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(choice, choice == checksum.Off())
	// Output: sha256 false
}

// Verify a checksum, as a server or a test does.
func ExampleParseHeader() {
	name, want, err := checksum.ParseHeader("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=")
	if err != nil {
		log.Fatal(err)
	}
	got := sha256.Sum256([]byte("hello world"))
	fmt.Println(name, string(want) == string(got[:]))
	// Output: sha256 true
}
