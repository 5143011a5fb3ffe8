package checksum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
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
		if got := checksum.ParseAlgorithms(test.lines); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.lines, got, test.want)
		}
	}
}

func TestParseAlgorithms_LongList(t *testing.T) {
	line := strings.Repeat("sha1,", 100_000) + strings.Repeat(" ,", 100_000) + "md5"
	if got := checksum.ParseAlgorithms([]string{line, line}); !slices.Equal(got, []string{"sha1", "md5"}) {
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
	if got := checksum.FormatHeader("sha1", sum); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	name, parsed, err := checksum.ParseHeader(want)
	if name != "sha1" || !bytes.Equal(parsed, sum) || err != nil {
		t.Errorf("ParseHeader = %q, %x, %v", name, parsed, err)
	}
}

func TestParseHeader_NameIsLowercased(t *testing.T) {
	if name, _, err := checksum.ParseHeader("SHA1 AAAA"); name != "sha1" || err != nil {
		t.Errorf("got %q, %v", name, err)
	}
}

func TestParseHeader_MalformedValueFails(t *testing.T) {
	for _, value := range []string{
		"", " ", "sha1", "sha1 ", " AAAA", "sha1  AAAA", "sha1 AAAA ", "sha1\tAAAA",
		"sha1 AAA", "sha1 AA==AAAA", "sha1 AA", "sha1 AB==" /* loose bits */, "sha1 A-_A",
		"sha1 AA\nAA", "sha1 AAAA\r\n", "sha1 AAAA,md5 AAAA", "shä1 AAAA", "a,b AAAA",
		"sha1 " + strings.Repeat("!", 1<<20),
	} {
		name, sum, err := checksum.ParseHeader(value)
		if !errors.Is(err, checksum.ErrInvalidHeader) || name != "" || sum != nil {
			t.Errorf("%.40q: %q, %x, %v", value, name, sum, err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%.40q: the error has %d bytes", value, len(err.Error()))
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, value := range []string{"sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "crc32 AAAAAA==", "", "a b", "MD5 AA\n=="} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		name, sum, err := checksum.ParseHeader(value)
		if err != nil {
			if !errors.Is(err, checksum.ErrInvalidHeader) || name != "" || sum != nil {
				t.Fatalf("%q: %q, %x, %v", value, name, sum, err)
			}
			return
		}
		// A valid value has exactly one form, except for the case of the name.
		prefix := len(name)
		if got := checksum.FormatHeader(value[:prefix], sum); got != value || !strings.EqualFold(name, value[:prefix]) {
			t.Fatalf("ParseHeader accepts %q, but FormatHeader returns %q", value, got)
		}
	})
}

func FuzzNegotiate(f *testing.F) {
	f.Add("sha1,md5", "auto")
	f.Add("SHA256 ,, md5", "sha256")
	f.Add("\x00,\u212A", "off")
	f.Fuzz(func(t *testing.T, line, text string) {
		offer := checksum.ParseAlgorithms([]string{line})
		choice, err := checksum.Parse(text)
		if err != nil {
			return
		}
		a, ok, err := checksum.Builtin().Negotiate(choice, offer)
		if ok != (err == nil && a.New != nil) || ok && !slices.Contains(offer, a.Name) {
			t.Fatalf("%q with %q: %q, %v, %v", text, line, a.Name, ok, err)
		}
		if err != nil && (!errors.Is(err, checksum.ErrChecksumUnsupported) || choice == checksum.Auto() || choice == checksum.Off()) {
			t.Fatalf("%q with %q: %v", text, line, err)
		}
		if err == nil && !ok && choice != checksum.Auto() && choice != checksum.Off() {
			t.Fatalf("%q with %q: neither algorithm nor error", text, line)
		}
	})
}
