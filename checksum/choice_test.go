package checksum_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
)

func TestNegotiate_SelectsAlgorithm(t *testing.T) {
	for _, test := range []struct {
		choice checksum.Choice
		offer  []string
		want   string // empty: none
	}{
		{checksum.Choice{}, []string{"md5", "sha1", "crc32"}, "sha1"},
		{checksum.Auto(), []string{"crc32", "md5", "sha512", "sha1", "sha256"}, "sha256"},
		{checksum.Auto(), []string{"crc32", "sha512"}, "sha512"},
		{checksum.Auto(), []string{"blake3", "crc32"}, "crc32"},
		{checksum.Auto(), []string{"SHA1", "sha1"}, "SHA1"}, // spelling of the server
		{checksum.Auto(), []string{"blake3"}, ""},
		{checksum.Auto(), []string{"", " ", "sha1 ", "sha1\r\nX: y"}, ""},
		{checksum.Auto(), nil, ""},
		{checksum.Off(), []string{"sha256"}, ""},
		{checksum.Named("md5"), []string{"sha256", "md5"}, "md5"},
		{checksum.Named("MD5"), []string{"sha256", "Md5"}, "Md5"},
	} {
		a, ok, err := checksum.Builtin().Negotiate(test.choice, test.offer)
		if err != nil || a.Name != test.want || ok != (test.want != "") || ok != (a.New != nil) {
			t.Errorf("%v with %q: %q, %v, %v, want %q", test.choice, test.offer, a.Name, ok, err, test.want)
		}
	}
}

func TestNegotiate_UnsupportedNameFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		offer []string
		says  []string
	}{
		{"sha1", []string{"md5", "crc32"}, []string{`"sha1"`, `"md5", "crc32"`}},
		{"sha1", nil, []string{`"sha1"`, "none"}},
		{"blake3", []string{"blake3"}, []string{`"blake3"`, `"sha256"`}}, // not registered
		{"", []string{"", "sha1"}, []string{`""`}},
		{"off", []string{"off"}, []string{`"off"`}},
		{"md5\n", []string{"md5"}, []string{`"md5\n"`}},
	} {
		_, ok, err := checksum.Builtin().Negotiate(checksum.Named(test.name), test.offer)
		if ok || !errors.Is(err, checksum.ErrChecksumUnsupported) || !errors.Is(err, errors.ErrUnsupported) {
			t.Fatalf("%q with %q: %v, %v", test.name, test.offer, ok, err)
		}
		for _, text := range test.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q with %q: error %q does not contain %s", test.name, test.offer, err, text)
			}
		}
	}
}

func TestNegotiate_HostileNamesAreIgnored(t *testing.T) {
	offer := []string{"", "\x1b[31m", strings.Repeat("a", 1<<20)}
	for i := range 50_000 {
		offer = append(offer, fmt.Sprint("x", i%100))
	}
	if _, ok, err := checksum.Builtin().Negotiate(checksum.Auto(), offer); ok || err != nil {
		t.Errorf("auto: %v, %v", ok, err)
	}
	_, _, err := checksum.Builtin().Negotiate(checksum.Named("sha1"), offer)
	if err == nil || len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("error is too long or not printable: %.2000q", err)
	}
	a, ok, err := checksum.Builtin().Negotiate(checksum.Named("sha1"), append(offer, "sha1"))
	if a.Name != "sha1" || !ok || err != nil {
		t.Errorf("sha1 at the end of the list: %q, %v, %v", a.Name, ok, err)
	}
}

func TestChoice_TextRoundTrips(t *testing.T) {
	for _, test := range []struct {
		text string
		want checksum.Choice
		back string
	}{
		{"auto", checksum.Choice{}, "auto"},
		{"AUTO", checksum.Auto(), "auto"},
		{"off", checksum.Off(), "off"},
		{"Off", checksum.Off(), "off"},
		{"sha256", checksum.Named("sha256"), "sha256"},
		{"SHA256", checksum.Named("Sha256"), "sha256"},
		{"blake3", checksum.Named("blake3"), "blake3"}, // may be registered
	} {
		got, err := checksum.Parse(test.text)
		if err != nil || got != test.want || got.String() != test.back {
			t.Errorf("Parse(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
		encoded, err := json.Marshal(got)
		var decoded checksum.Choice
		if err == nil {
			err = json.Unmarshal(encoded, &decoded)
		}
		if err != nil || decoded != got {
			t.Errorf("round trip of %v: %s, %v, %v", got, encoded, decoded, err)
		}
	}
}

func TestChoice_InvalidTextFails(t *testing.T) {
	for _, text := range []string{"", " ", "sha1 ", "a,b", "a\n", "\u212A"} {
		choice := checksum.Off()
		if err := choice.UnmarshalText([]byte(text)); !errors.Is(err, checksum.ErrInvalidAlgorithm) || choice != checksum.Off() {
			t.Errorf("%q: %v, %v", text, choice, err)
		}
	}
	for _, name := range []string{"", "auto", "off", "a b"} {
		if text, err := checksum.Named(name).MarshalText(); !errors.Is(err, checksum.ErrInvalidAlgorithm) {
			t.Errorf("MarshalText of Named(%q) = %q, %v", name, text, err)
		}
	}
	if checksum.Named("auto") == checksum.Auto() || checksum.Named("off") == checksum.Off() || checksum.Named("") == checksum.Auto() {
		t.Error("a Named choice equals Auto or Off")
	}
}
