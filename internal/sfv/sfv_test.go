package sfv_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/internal/sfv"
)

func integer(n int64) sfv.Value { return sfv.Value{Kind: sfv.Integer, Integer: n} }

func boolean(b bool) sfv.Value { return sfv.Value{Kind: sfv.Boolean, Boolean: b} }

func TestParseItem(t *testing.T) {
	for _, test := range []struct {
		line string
		want sfv.Value
		ok   bool
	}{
		{"0", integer(0), true},
		{"-0", integer(0), true},
		{"007", integer(7), true},
		{"-15", integer(-15), true},
		{"999999999999999", integer(sfv.MaxInteger), true},
		{"-999999999999999", integer(-sfv.MaxInteger), true},
		{"1000000000000000", sfv.Value{}, false},
		{"0000000000000001", sfv.Value{}, false},
		{"99999999999999999999", sfv.Value{}, false},
		{"  5  ", integer(5), true},
		{"\t5", sfv.Value{}, false},
		{"5\t", sfv.Value{}, false},
		{"+5", sfv.Value{}, false},
		{"-", sfv.Value{}, false},
		{"--5", sfv.Value{}, false},
		{"5 6", sfv.Value{}, false},
		{"5,6", sfv.Value{}, false},
		{"", sfv.Value{}, false},
		{"٣", sfv.Value{}, false},
		{"?0", boolean(false), true},
		{"?1", boolean(true), true},
		{"?2", sfv.Value{}, false},
		{"?", sfv.Value{}, false},
		{"true", sfv.Value{}, true}, // a Token
		{"5;a", integer(5), true},
		{"5;a=1;b=?0;c=x/y;*d=\"e;f\"", integer(5), true},
		{"?1; a=1", boolean(true), true},
		{"?1 ;a=1", sfv.Value{}, false},
		{"?1;A", sfv.Value{}, false},
		{"?1;a=", sfv.Value{}, false},
		{"?1;", sfv.Value{}, false},
		{"5.0", sfv.Value{}, true},
		{"5.", sfv.Value{}, false},
		{".5", sfv.Value{}, false},
		{"-.5", sfv.Value{}, false},
		{"1.2345", sfv.Value{}, false},
		{"123456789012.123", sfv.Value{}, true},
		{"1234567890123.1", sfv.Value{}, false},
		{"1.2.3", sfv.Value{}, false},
		{`"text"`, sfv.Value{}, true},
		{`"te\"x\\t"`, sfv.Value{}, true},
		{`"te\xt"`, sfv.Value{}, false},
		{`"text`, sfv.Value{}, false},
		{`"text\`, sfv.Value{}, false},
		{"\"\x7f\"", sfv.Value{}, false},
		{"\"ä\"", sfv.Value{}, false},
		{"*a:b/c", sfv.Value{}, true},
		{":aGVsbG8=:", sfv.Value{}, true},
		{"::", sfv.Value{}, true},
		{":a:", sfv.Value{}, false},
		{":aGVsbG8=", sfv.Value{}, false},
		{":aG V:", sfv.Value{}, false},
		{"@1659578233", sfv.Value{}, true},
		{"@1.5", sfv.Value{}, false},
		{"@", sfv.Value{}, false},
		{`%"f%c3%bc"`, sfv.Value{}, true},
		{`%"f%C3%BC"`, sfv.Value{}, false},
		{`%"f%c3"`, sfv.Value{}, false},
		{`%"f%c`, sfv.Value{}, false},
		{`%f`, sfv.Value{}, false},
		{"(1 2)", sfv.Value{}, false},
		{"\x00", sfv.Value{}, false},
	} {
		if got, ok := sfv.ParseItem([]string{test.line}); got != test.want || ok != test.ok {
			t.Errorf("%q is parsed as %+v, %v", test.line, got, ok)
		}
	}
}

func TestParseItem_NoLineOrTwo(t *testing.T) {
	for _, lines := range [][]string{nil, {}, {"1", "1"}, {"?1", "?1"}, {"", "1"}, {"1", ""}} {
		if got, ok := sfv.ParseItem(lines); ok {
			t.Errorf("%q is parsed as %+v", lines, got)
		}
	}
}

func TestParse_RefusesOtherType(t *testing.T) {
	if n, ok := sfv.ParseInteger([]string{"12"}); n != 12 || !ok {
		t.Errorf("12 is %d, %v", n, ok)
	}
	if b, ok := sfv.ParseBoolean([]string{"?1"}); !b || !ok {
		t.Errorf("?1 is %v, %v", b, ok)
	}
	for _, line := range []string{"?1", "1.0", `"1"`, "a", "@1"} {
		if n, ok := sfv.ParseInteger([]string{line}); ok {
			t.Errorf("%q is the Integer %d", line, n)
		}
	}
	for _, line := range []string{"1", "0", `"?1"`, "true"} {
		if b, ok := sfv.ParseBoolean([]string{line}); ok {
			t.Errorf("%q is the Boolean %v", line, b)
		}
	}
}

func TestParseDictionary(t *testing.T) {
	type members map[string]sfv.Value
	for _, test := range []struct {
		lines string // separated by newlines
		want  members
	}{
		{"", members{}},
		{"   ", members{}},
		{"a=1", members{"a": integer(1)}},
		{"a=1,b=2", members{"a": integer(1), "b": integer(2)}},
		{"a=1 \t, \tb=2", members{"a": integer(1), "b": integer(2)}},
		{"a=1\nb=2", members{"a": integer(1), "b": integer(2)}},
		{"a=1, a=2", members{"a": integer(2)}},
		{"a=1, a", members{"a": boolean(true)}},
		{"a, b=?0, c;x=1", members{"a": boolean(true), "b": boolean(false), "c": boolean(true)}},
		{"a=1;x;y=2, b=(1 2);z, c=()", members{"a": integer(1), "b": {}, "c": {}}},
		{`a="x,y", b=:aA==:, c=tok, d=1.5`, members{"a": {}, "b": {}, "c": {}, "d": {}}},
		{"*a_-.*9=1", members{"*a_-.*9": integer(1)}},
		{"max-size=-5", members{"max-size": integer(-5)}},
		{"a=1,", nil},
		{"a=1, ", nil},
		{",a=1", nil},
		{"a=1,,b=2", nil},
		{"a=1 b=2", nil},
		{"a =1", nil},
		{"a= 1", nil},
		{"A=1", nil},
		{"1=1", nil},
		{"a=", nil},
		{"a=1\n", nil},
		{"a=(1", nil},
		{"a=(1,2)", nil},
		{"a=1000000000000000", nil},
	} {
		got, ok := sfv.ParseDictionary(strings.Split(test.lines, "\n"))
		if ok != (test.want != nil) || ok && !maps.Equal(got, test.want) {
			t.Errorf("%q is parsed as %+v, %v", test.lines, got, ok)
		}
	}
	if got, ok := sfv.ParseDictionary(nil); ok {
		t.Errorf("no field is parsed as %v", got)
	}
}

func TestFormat(t *testing.T) {
	if s, ok := sfv.FormatInteger(sfv.MaxInteger); s != "999999999999999" || !ok {
		t.Errorf("the largest Integer is %q, %v", s, ok)
	}
	for _, n := range []int64{sfv.MaxInteger + 1, -sfv.MaxInteger - 1} {
		if s, ok := sfv.FormatInteger(n); ok {
			t.Errorf("%d is formatted as %q", n, s)
		}
	}
	if sfv.FormatBoolean(true) != "?1" || sfv.FormatBoolean(false) != "?0" {
		t.Error("Booleans are wrong")
	}
	if s, ok := sfv.FormatDictionary(map[string]int64{"b": 2, "a": -1}); s != "a=-1, b=2" || !ok {
		t.Errorf("dictionary is %q, %v", s, ok)
	}
	for _, key := range []string{"", "A", "1", "a b", " a", "a ", "ä"} {
		if s, ok := sfv.FormatDictionary(map[string]int64{key: 1}); ok {
			t.Errorf("key %q is formatted as %q", key, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "?1", "-12;a=1", "a=1, b;c=(x)", `a=%"%c3%bc"`, "a=@1,b=:aA==:", "a=(1 2);x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if v, ok := sfv.ParseItem([]string{line}); ok && v.Kind != sfv.Other {
			again := sfv.FormatBoolean(v.Boolean)
			if v.Kind == sfv.Integer {
				again, ok = sfv.FormatInteger(v.Integer)
			}
			if w, _ := sfv.ParseItem([]string{again}); w != v || !ok {
				t.Errorf("%q is formatted as %q", line, again)
			}
		}
		members, ok := sfv.ParseDictionary([]string{line})
		if !ok {
			return
		}
		integers := map[string]int64{}
		for key, v := range members {
			if v.Kind == sfv.Integer {
				integers[key] = v.Integer
			}
		}
		again, ok := sfv.FormatDictionary(integers)
		if !ok {
			t.Fatalf("%v is not formatted", integers)
		}
		reread, ok := sfv.ParseDictionary([]string{again})
		if !ok || len(reread) != len(integers) {
			t.Errorf("%q is formatted as %q", line, again)
		}
		for key, n := range integers {
			if reread[key] != integer(n) {
				t.Errorf("%q is formatted as %q", line, again)
			}
		}
	})
}
