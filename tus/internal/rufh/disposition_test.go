package rufh_test

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-175555ba/tus-go/tus/internal/rufh"
)

func TestFormatDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"movie.mp4":     `inline; filename="movie.mp4"`,
		"a b;c.txt":     `inline; filename="a b;c.txt"`,
		"dir/a.txt":     `inline; filename="dir/a.txt"`,
		"größe 1.bin":   `inline; filename="gr__e 1.bin"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.bin`,
		`say "hi".txt`:  `inline; filename="say _hi_.txt"; filename*=UTF-8''say%20%22hi%22.txt`,
		`a\b`:           `inline; filename="a_b"; filename*=UTF-8''a%5Cb`,
		"100%25":        `inline; filename="100_25"; filename*=UTF-8''100%2525`,
		"a\r\nX: y":     `inline; filename="a__X: y"; filename*=UTF-8''a%0D%0AX%3A%20y`,
		"€'()*":         `inline; filename="_'()*"; filename*=UTF-8''%E2%82%AC%27%28%29%2A`,
		"a!#$&+-.^_`|~": "inline; filename=\"a!#$&+-.^_`|~\"",
	} {
		got, ok := rufh.FormatDisposition(name)
		if got != want || !ok {
			t.Errorf("%q is %q, %v, want %q", name, got, ok, want)
		}
		if again, ok := rufh.ParseDisposition(got); again != name || !ok {
			t.Errorf("%q is parsed as %q, %v", got, again, ok)
		}
	}
	for _, name := range []string{"", "\xff.txt"} {
		if got, ok := rufh.FormatDisposition(name); ok {
			t.Errorf("%q is %q", name, got)
		}
	}
}

func TestParseDisposition(t *testing.T) {
	for value, want := range map[string]string{
		`attachment; filename=a.txt`:                             "a.txt",
		`inline; FILENAME="a \"b\".txt"`:                         `a "b".txt`,
		`inline; filename="x"; filename*=UTF-8''%e2%82%ac.txt`:   "€.txt",
		`inline; filename*=utf-8'en'%E2%82%AC.txt; filename="x"`: "€.txt",
		`inline; filename*=us-ascii''a`:                          "a",
		`inline`:                                                 "",
		`inline; filename=""`:                                    "",
		`inline; filename="`:                                     "",
		`inline; filename*=UTF-8''%ff`:                           "",
		`inline; filename=a; filename=b`:                         "",
		``:                                                       "",
	} {
		if got, ok := rufh.ParseDisposition(value); ok != (want != "") || ok && got != want {
			t.Errorf("%q has the name %q, %v", value, got, ok)
		}
	}
}

func FuzzDisposition(f *testing.F) {
	for _, seed := range []string{"a.txt", "größe", `"\%`, "\x00\r\n", "\xff", "a'b*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		value, ok := rufh.FormatDisposition(name)
		if ok != (name != "" && utf8.ValidString(name)) {
			t.Fatalf("%q is %q, %v", name, value, ok)
		}
		if parsed, _ := rufh.ParseDisposition(name); !utf8.ValidString(parsed) { // any value
			t.Errorf("%q has the name %q", name, parsed)
		}
		if !ok {
			return
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is %q", name, value)
		}
		if got, ok := rufh.ParseDisposition(value); got != name || !ok {
			t.Errorf("%q is %q, which is parsed as %q", name, value, got)
		}
		if kind, _, err := mime.ParseMediaType(value); kind != "inline" || err != nil {
			t.Errorf("%q is %q: %v", name, value, err)
		}
	})
}
