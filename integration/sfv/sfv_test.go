package sfv_test

import (
	"math"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"

	"github.com/seed-175555ba/tus-go/internal/sfv"
)

// seeds returns field values, with lines separated by newlines.
func seeds() []string {
	return []string{
		"", " ", "\t", "0", "-0", "007", "-15", "+1", "-", "--1", "999999999999999", "1000000000000000",
		"-999999999999999", "0000000000000000", "5 ", " 5", "5\t", "5;a", "5;a=1;b=?0;c=x/y", "5; a=\"x;y\"", "5 ;a",
		"1.5", "1.", ".5", "-1.123", "1.1234", "123456789012.1", "1234567890123.1", "1.2.3", "0.0000000000000001",
		"?0", "?1", "?2", "?", "?1;x", "?1\n?1", "1\n2", "\"a\nb\"", "\n", "1\n", "\n1",
		`"text"`, `"\"\\"`, `"\a"`, `"`, "\"\x7f\"", "\"\x1f\"", "\"ä\"", "token", "*t:/o", "to ken", "T!#$%&'*+-.^_`|~",
		":aGVsbG8=:", ":aGVsbG8:", "::", ":a:", ":=:", ":aGVsbG9=:", ":aGV sbG8=:", "@1659578233", "@-1", "@1.5", "@", "@999999999999999",
		`%"f%c3%bc"`, `%"f%C3%BC"`, `%"f%c3"`, `%"a`, `%"%"`, `%"%2"`, `%"%22"`, `%a`, `%"` + "\x7f" + `"`, `%"ä"`,
		"a=1", "a=1,b=2", "a=1 \t,\t b=2", "a=1\nb=2", "a=1, a=?0", "a, b;x, c=?0;y=1", "a=(1 2);x, b=()", "a=( 1  2 )", "a=(1\t2)", "a=(1", "a=(1 ", "a=(1)2",
		"a=((1))", "a=(1;x;y=2 ?1);z", "a=1,", "a=1, ", ",", "a=1,,b=2", "a=1 b=2", "a =1", "a= 1", "A=1", "1=1", "*=1", "a=", "a;", "a;=", "a;x=", "a=1;", "a\x00", "ä=1",
		"max-size=1000, min-size=0, max-append-size=10;q=1, max-age=60", "min-size=0,max-size=9223372036854775807",
	}
}

func TestParse_EqualsHTTPSFV(t *testing.T) {
	for _, lines := range seeds() {
		compare(t, strings.Split(lines, "\n"))
	}
}

func FuzzParse_EqualsHTTPSFV(f *testing.F) {
	for _, lines := range seeds() {
		f.Add(lines)
	}
	f.Fuzz(func(t *testing.T, lines string) { compare(t, strings.Split(lines, "\n")) })
}

// compare parses and formats the lines of a field with both implementations.
func compare(t *testing.T, lines []string) {
	t.Helper()
	item, err := httpsfv.UnmarshalItem(lines)
	got, ok := sfv.ParseItem(lines)
	if ok != (err == nil) || ok && got != valueOf(item) {
		t.Errorf("item %q is %+v, %v, but for httpsfv %+v, %v", lines, got, ok, item, err)
	}
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	members, ok := sfv.ParseDictionary(lines)
	if ok != (err == nil) {
		t.Fatalf("dictionary %q is %+v, %v, but for httpsfv %+v, %v", lines, members, ok, dictionary, err)
	}
	if !ok {
		return
	}
	if len(members) != len(dictionary.Names()) {
		t.Errorf("dictionary %q is %+v, but for httpsfv %+v", lines, members, dictionary)
	}
	integers := map[string]int64{}
	for _, key := range dictionary.Names() {
		member, _ := dictionary.Get(key)
		if got := members[key]; got != valueOf(member) {
			t.Errorf("member %s of %q is %+v, but for httpsfv %+v", key, lines, got, member)
		} else if got.Kind == sfv.Integer {
			integers[key] = got.Integer
		}
	}
	compareFormatted(t, integers)
}

// valueOf converts an item or inner list.
func valueOf(member httpsfv.Member) sfv.Value {
	item, _ := member.(httpsfv.Item)
	switch v := item.Value.(type) {
	case int64:
		return sfv.Value{Kind: sfv.Integer, Integer: v}
	case bool:
		return sfv.Value{Kind: sfv.Boolean, Boolean: v}
	}
	return sfv.Value{}
}

// compareFormatted fails unless httpsfv reads what sfv writes.
func compareFormatted(t *testing.T, integers map[string]int64) {
	t.Helper()
	line, ok := sfv.FormatDictionary(integers)
	if !ok {
		t.Fatalf("%v is not formatted", integers)
	}
	read, err := httpsfv.UnmarshalDictionary([]string{line})
	if err != nil || len(read.Names()) != len(integers) {
		t.Fatalf("httpsfv reads %q as %+v, %v", line, read, err)
	}
	for key, n := range integers {
		if member, _ := read.Get(key); valueOf(member).Integer != n {
			t.Errorf("httpsfv reads %q as %+v", line, read)
		}
	}
}

func FuzzFormat_EqualsHTTPSFV(f *testing.F) {
	for _, n := range []int64{0, 1, -1, sfv.MaxInteger, sfv.MaxInteger + 1, -sfv.MaxInteger, math.MaxInt64, math.MinInt64} {
		f.Add("max-size", n)
		f.Add("", n)
		f.Add(" A", n)
	}
	f.Fuzz(func(t *testing.T, key string, n int64) {
		dictionary := httpsfv.NewDictionary()
		dictionary.Add(key, httpsfv.NewItem(n))
		want, err := httpsfv.Marshal(dictionary)
		got, ok := sfv.FormatDictionary(map[string]int64{key: n})
		if ok != (err == nil) || ok && got != want {
			t.Errorf("%q=%d is formatted as %q, %v, but by httpsfv as %q, %v", key, n, got, ok, want, err)
		}
	})
}
