package checksums_test

import (
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/checksums"
)

func builtin(t testing.TB) checksums.Set {
	t.Helper()
	set, err := checksums.NewSet(checksum.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newCRC() hash.Hash { return crc32.NewIEEE() }

func TestNewSet_KeepsOrder(t *testing.T) {
	algorithms := slices.DeleteFunc(checksum.Builtin(), func(a checksum.Algorithm) bool { return a.Name != "sha1" && a.Name != "crc32" })
	slices.Reverse(algorithms)
	set, err := checksums.NewSet(algorithms)
	if err != nil {
		t.Fatal(err)
	}
	algorithms[0].Name = "changed"
	if a, ok, err := set.Select("", []string{"sha256", "sha1", "crc32"}); a.Name != "crc32" || !ok || err != nil {
		t.Errorf("selected %q, %v, %v", a.Name, ok, err)
	}
}

func TestNewSet_InvalidAlgorithmFails(t *testing.T) {
	for _, test := range []struct {
		algorithm checksum.Algorithm
		says      string
	}{
		{checksum.Algorithm{Name: "", New: newCRC}, `""`},
		{checksum.Algorithm{Name: "a b", New: newCRC}, `"a b"`},
		{checksum.Algorithm{Name: "a,b", New: newCRC}, `"a,b"`},
		{checksum.Algorithm{Name: "a\r\nX: y", New: newCRC}, `"a\r\nX: y"`},
		{checksum.Algorithm{Name: "xü", New: newCRC}, `"xü"`},
		{checksum.Algorithm{Name: "SHA3", New: newCRC}, `"SHA3" is not a lower-case token`},
		{checksum.Algorithm{Name: "off", New: newCRC}, `"off" is reserved`},
		{checksum.Algorithm{Name: "sha3"}, `"sha3" has a nil New`},
		{checksum.Algorithm{Name: "sha1", New: newCRC}, `"sha1" is not unique`},
	} {
		_, err := checksums.NewSet(append(checksum.Builtin(), test.algorithm))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: %v, want an error with %s", test.algorithm.Name, err, test.says)
		}
	}
}

func TestSet_Empty(t *testing.T) {
	var set checksums.Set
	if a, ok, err := set.Select("", []string{"sha1"}); ok || a.New != nil || err != nil {
		t.Errorf("selected %q, %v, %v", a.Name, ok, err)
	}
	if err := set.Check("sha1"); err == nil {
		t.Error("Check of sha1 returned no error")
	}
}

func TestCheck_AcceptsKnownChoices(t *testing.T) {
	for _, choice := range []string{"", "off", "sha1", "SHA512"} {
		if err := builtin(t).Check(choice); err != nil {
			t.Errorf("%q: %v", choice, err)
		}
	}
}

func TestSelect_SelectsAlgorithm(t *testing.T) {
	for _, test := range []struct {
		choice string
		offer  []string
		want   string // empty: none
	}{
		{"", []string{"md5", "sha1", "crc32"}, "sha1"},
		{"", []string{"crc32", "md5", "sha512", "sha1", "sha256"}, "sha256"},
		{"", []string{"crc32", "sha512"}, "sha512"},
		{"", []string{"blake3", "crc32"}, "crc32"},
		{"", []string{"SHA1", "sha1"}, "SHA1"}, // spelling of the server
		{"", []string{"blake3"}, ""},
		{"", []string{"", " ", "sha1 ", "sha1\r\nX: y"}, ""},
		{"", nil, ""},
		{checksums.Off, []string{"sha256"}, ""},
		{"md5", []string{"sha256", "md5"}, "md5"},
		{"MD5", []string{"sha256", "Md5"}, "Md5"},
	} {
		a, ok, err := builtin(t).Select(test.choice, test.offer)
		if err != nil || a.Name != test.want || ok != (test.want != "") || ok != (a.New != nil) {
			t.Errorf("%v with %q: %q, %v, %v, want %q", test.choice, test.offer, a.Name, ok, err, test.want)
		}
	}
}

func TestSelect_UnsupportedNameFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		offer []string
		says  []string
	}{
		{"sha1", []string{"md5", "crc32"}, []string{`"sha1"`, `"md5", "crc32"`}},
		{"sha1", nil, []string{`"sha1"`, "none"}},
		{"blake3", []string{"blake3"}, []string{`"blake3"`, `"sha256"`}}, // not registered
		{"OFF", []string{"OFF"}, []string{`"OFF"`}},
		{"auto", []string{"sha1"}, []string{`"auto"`}},
		{"md5\n", []string{"md5"}, []string{`"md5\n"`}},
	} {
		_, ok, err := builtin(t).Select(test.name, test.offer)
		if ok || err == nil {
			t.Fatalf("%q with %q: %v, %v", test.name, test.offer, ok, err)
		}
		for _, text := range test.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q with %q: error %q does not contain %s", test.name, test.offer, err, text)
			}
		}
	}
}

func TestSelect_HostileNamesAreIgnored(t *testing.T) {
	offer := []string{"", "\x1b[31m", strings.Repeat("a", 1<<20)}
	for i := range 50_000 {
		offer = append(offer, fmt.Sprint("x", i%100))
	}
	if _, ok, err := builtin(t).Select("", offer); ok || err != nil {
		t.Errorf("auto: %v, %v", ok, err)
	}
	_, _, err := builtin(t).Select("sha1", offer)
	if err == nil || len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("error is too long or not printable: %.2000q", err)
	}
	a, ok, err := builtin(t).Select("sha1", append(offer, "sha1"))
	if a.Name != "sha1" || !ok || err != nil {
		t.Errorf("sha1 at the end of the list: %q, %v, %v", a.Name, ok, err)
	}
}
