package checksum_test

import (
	"encoding/hex"
	"slices"
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

func lookup(t *testing.T, name string) checksum.Algorithm {
	t.Helper()
	for _, a := range checksum.Builtin() {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no algorithm %q", name)
	return checksum.Algorithm{}
}

func TestBuiltin_IsInOrderOfPreference(t *testing.T) {
	want := []string{"sha256", "sha1", "sha512", "md5", "crc32"}
	var got []string
	for _, a := range checksum.Builtin() {
		got = append(got, a.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBuiltin_ReturnsNewSlice(t *testing.T) {
	checksum.Builtin()[0].Name = "changed"
	if name := checksum.Builtin()[0].Name; name != "sha256" {
		t.Errorf("first algorithm is %q", name)
	}
}
