package recordkey_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/recordkey"
)

const someFingerprint = "sample1-5-0123456789abcdef0123456789abcdef"

// The hashes were computed with sha256sum from the description of New.
// If this test fails, keys stored by earlier releases are not found.
func TestNew_MatchesGoldenValues(t *testing.T) {
	for _, test := range []struct{ fingerprint, scope, resumeKey, want string }{
		{"", "", "", "key-a8c601ee2eda0ba7cd85875c683b09a3"},
		{someFingerprint, "https://example.org/files/", "filename bW92aWU=", "sample1-5-0123456789abcdef0123456789abcdef-84855186d2f11a182326d6cfb2810eab"},
		{"asset 7", "https://example.org/files/", "", "key-35e37ffdff304d509b18ea7a2ad757c9"},
	} {
		if got := recordkey.New(test.fingerprint, test.scope, test.resumeKey); got != test.want {
			t.Errorf("New(%q, %q, %q):\ngot  %s\nwant %s", test.fingerprint, test.scope, test.resumeKey, got, test.want)
		}
	}
}

func TestNew_CoversEachArgument(t *testing.T) {
	seen := map[string][3]string{}
	for _, parts := range [][3]string{
		{"a", "b", "c"}, {"A", "b", "c"}, {"a", "B", "c"}, {"a", "b", "C"},
		{"ab", "", "c"}, {"", "ab", "c"}, {"a", "bc", ""}, {"abc", "", ""}, {"", "abc", ""}, {"", "", "abc"},
		{"a b", "", ""}, {"a  b", "", ""}, {"key", "", ""}, {"", "", ""},
	} {
		key := recordkey.New(parts[0], parts[1], parts[2])
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have the same key %s", parts, other, key)
		}
		seen[key] = parts
	}
}

func TestNew_StartsWithReadableFingerprint(t *testing.T) {
	for _, readable := range []string{someFingerprint, "a", "7", "Asset_7-b", strings.Repeat("a", 100)} {
		if key := recordkey.New(readable, "s", "r"); !strings.HasPrefix(key, readable+"-") {
			t.Errorf("key of %q is %q", readable, key)
		}
	}
	for _, unsafe := range []string{"", "-rf", "_", "a b", "a/b", `a\b`, "a.b", "..", "ü", "a\x00", strings.Repeat("a", 101)} {
		if key := recordkey.New(unsafe, "s", "r"); !strings.HasPrefix(key, "key-") {
			t.Errorf("key of %q is %q", unsafe, key)
		}
	}
}

func FuzzNew(f *testing.F) {
	f.Add(someFingerprint, "https://example.org/files/", "filename bW92aWU=")
	f.Add("", "", "")
	f.Add("-\x00/", "\n", "..")
	safe := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}-[0-9a-f]{32}$`)
	f.Fuzz(func(t *testing.T, fp, scope, resumeKey string) {
		key := recordkey.New(fp, scope, resumeKey)
		if !safe.MatchString(key) {
			t.Errorf("New(%q, %q, %q) = %q", fp, scope, resumeKey, key)
		}
		if moved := recordkey.New(fp, scope+resumeKey, ""); resumeKey != "" && moved == key {
			t.Errorf("New(%q, %q, %q) does not separate scope and resume key", fp, scope, resumeKey)
		}
	})
}
