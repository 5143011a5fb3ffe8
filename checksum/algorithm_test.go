package checksum_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
)

// The test vectors are from RFC 1321, RFC 3720 and FIPS 180.
func TestBuiltin_ComputesKnownSums(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"md5", "abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"md5", "", "d41d8cd98f00b204e9800998ecf8427e"},
		{"sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"sha1", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"sha512", "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{"crc32", "123456789", "cbf43926"}, // most significant byte first
		{"crc32", "", "00000000"},
	} {
		h := lookup(t, test.name).New()
		h.Write([]byte(test.data))
		if got := hex.EncodeToString(h.Sum(nil)); got != test.want {
			t.Errorf("%s of %q is %s, want %s", test.name, test.data, got, test.want)
		}
	}
}

func TestBuiltin_Order(t *testing.T) {
	want := []string{"sha256", "sha1", "sha512", "md5", "crc32"}
	if got := checksum.Builtin().Names(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func newCRC() hash.Hash { return crc32.NewIEEE() }

func TestLookup_IgnoresCase(t *testing.T) {
	set := checksum.Builtin()
	if err := set.Register(checksum.Algorithm{Name: "x-crc.1", New: newCRC}); err != nil {
		t.Fatal(err)
	}
	if a, ok := set.Lookup("X-CRC.1"); !ok || a.Name != "x-crc.1" || a.New == nil {
		t.Errorf("found %+v, %v", a, ok)
	}
	if names := set.Names(); names[len(names)-1] != "x-crc.1" {
		t.Errorf("names are %q, want the registered one last", names)
	}
	if _, ok := checksum.Builtin().Lookup("x-crc.1"); ok {
		t.Error("Register changed another Set")
	}
}

func TestRegister_InvalidAlgorithmFails(t *testing.T) {
	for _, test := range []struct {
		algorithm checksum.Algorithm
		want      error
	}{
		{checksum.Algorithm{Name: "", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "a b", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "a,b", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "a\r\nX: y", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "xü", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "SHA3", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "auto", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "off", New: newCRC}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "sha3"}, checksum.ErrInvalidAlgorithm},
		{checksum.Algorithm{Name: "sha1", New: newCRC}, checksum.ErrDuplicateAlgorithm},
	} {
		set := checksum.Builtin()
		if err := set.Register(test.algorithm); !errors.Is(err, test.want) {
			t.Errorf("%q: %v, want %v", test.algorithm.Name, err, test.want)
		}
		if n := len(set.Names()); n != 5 {
			t.Errorf("%q: set has %d algorithms after a failed Register", test.algorithm.Name, n)
		}
	}
}

func TestSet_ZeroValueIsReadyToUse(t *testing.T) {
	var set checksum.Set
	if _, ok := set.Lookup("sha1"); ok || len(set.Names()) != 0 {
		t.Error("an empty set has algorithms")
	}
	if err := set.Register(lookup(t, "crc32")); err != nil {
		t.Fatal(err)
	}
	if a, ok, err := set.Negotiate(checksum.Auto(), []string{"sha256", "crc32"}); a.Name != "crc32" || !ok || err != nil {
		t.Errorf("negotiated %q, %v, %v", a.Name, ok, err)
	}
}

func TestSet_ConcurrentUse(t *testing.T) {
	set := checksum.Builtin()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				name := fmt.Sprintf("x%d-%d", i, n)
				if err := set.Register(checksum.Algorithm{Name: name, New: newCRC}); err != nil {
					t.Error(err)
				}
				if _, ok := set.Lookup(name); !ok {
					t.Errorf("%s is not found", name)
				}
				set.Names()
				if a, ok, _ := set.Negotiate(checksum.Auto(), []string{name}); !ok || a.Name != name {
					t.Errorf("%s is not negotiated", name)
				}
			}
		})
	}
	wg.Wait()
	if n := len(set.Names()); n != 5+8*50 {
		t.Errorf("%d algorithms, want %d", n, 5+8*50)
	}
}
