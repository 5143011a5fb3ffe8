package checksums_test

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
)

func TestParseAlgorithms_Lists(t *testing.T) {
	for _, test := range []struct{ lines, want []string }{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"sha1"}, []string{"sha1"}},
		{[]string{"sha1,md5,crc32"}, []string{"sha1", "md5", "crc32"}},
		{[]string{" sha1 ,\tmd5, ,,crc32,"}, []string{"sha1", "md5", "crc32"}},
		{[]string{"sha1", "md5, sha1"}, []string{"sha1", "md5"}},
		{[]string{"SHA1,sha1"}, []string{"SHA1"}},
		{[]string{`sha1 md5,"crc32",sha256;q=1,sha512`}, []string{"sha512"}},
		{[]string{"sha1\r\nX: y,md5"}, []string{"md5"}},
		{[]string{"\u212A,k"}, []string{"k"}},
	} {
		if got := checksums.ParseAlgorithms(test.lines); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.lines, got, test.want)
		}
	}
}

func TestParseAlgorithms_LongList(t *testing.T) {
	line := strings.Repeat("sha1,", 100_000) + strings.Repeat(" ,", 100_000) + "md5"
	if got := checksums.ParseAlgorithms([]string{line, line}); !slices.Equal(got, []string{"sha1", "md5"}) {
		t.Errorf("got %d names, want sha1 and md5", len(got))
	}
}

// The example is from the section Checksum of the protocol.
func TestFormatHeader_ProtocolExample(t *testing.T) {
	const want = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="
	sum, err := hex.DecodeString("2aae6c35c94fcfb415dbe95f408b9ce91ee846ed")
	if err != nil {
		t.Fatal(err)
	}
	if got := checksums.FormatHeader("sha1", sum); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzSelect(f *testing.F) {
	f.Add("sha1,md5", "")
	f.Add("SHA256 ,, md5", "sha256")
	f.Add("\x00,\u212A", "off")
	set := builtin(f)
	f.Fuzz(func(t *testing.T, line, choice string) {
		offer := checksums.ParseAlgorithms([]string{line})
		a, ok, err := set.Select(choice, offer)
		if ok != (err == nil && a.New != nil) || ok && !slices.Contains(offer, a.Name) {
			t.Fatalf("%q with %q: %q, %v, %v", choice, line, a.Name, ok, err)
		}
		named := choice != "" && choice != checksums.Off
		if err != nil && !named {
			t.Fatalf("%q with %q: %v", choice, line, err)
		}
		if err == nil && !ok && named {
			t.Fatalf("%q with %q: neither algorithm nor error", choice, line)
		}
	})
}
