package files

import "testing"

func TestFilter_Match(t *testing.T) {
	for name, test := range map[string]struct {
		filter  Filter
		matches []string
		others  []string
	}{
		"zero value":      {Filter{}, []string{"a", ".a", "b/.c/d"}, nil},
		"base name":       {Filter{Include: []string{"*.jpg"}}, []string{"a.jpg", "b/c/a.jpg", ".jpg"}, []string{"a.png", "a.jpg.part", "A.JPG"}},
		"path":            {Filter{Include: []string{"2026/*.jpg"}}, []string{"2026/a.jpg"}, []string{"2026/11/a.jpg", "x/2026/a.jpg", "a.jpg"}},
		"double star":     {Filter{Include: []string{"2026/**/*.jpg"}}, []string{"2026/a.jpg", "2026/11/30/a.jpg"}, []string{"a.jpg", "2025/a.jpg"}},
		"anywhere":        {Filter{Include: []string{"**/raw/*"}}, []string{"raw/a", "b/raw/a"}, []string{"rawish/a"}},
		"alternatives":    {Filter{Include: []string{"*.{jpg,png}"}}, []string{"a.jpg", "a.png"}, []string{"a.gif"}},
		"class":           {Filter{Include: []string{"[a-c]?"}}, []string{"a1", "c2"}, []string{"d1", "a"}},
		"escape":          {Filter{Include: []string{`\*`}}, []string{"*"}, []string{"a"}},
		"top":             {Filter{Include: []string{"/a*"}}, []string{"a1"}, []string{"b/a1"}},
		"directory":       {Filter{Include: []string{"photos"}}, []string{"photos/a", "x/photos/y/a", "photos"}, []string{"a"}},
		"only directory":  {Filter{Include: []string{"photos/"}}, []string{"photos/a"}, []string{"photos", "x/photos"}},
		"exclude":         {Filter{Exclude: []string{"*.tmp", "cache/**"}}, []string{"a"}, []string{"b/a.tmp", "cache/x", "cache/y/z"}},
		"exclude wins":    {Filter{Include: []string{"*.jpg"}, Exclude: []string{"x*"}}, []string{"a.jpg"}, []string{"x.jpg", "xs/a.jpg"}},
		"hidden":          {Filter{SkipHidden: true}, []string{"a", "a.b"}, []string{".a", "b/.c/d"}},
		"not UTF-8":       {Filter{Include: []string{"a\xff*"}}, []string{"a\xffb"}, []string{"a\xfeb"}},
		"any byte":        {Filter{Include: []string{"a?"}}, []string{"a\xff", "aü"}, []string{"a"}},
		"any of two":      {Filter{Include: []string{"a", "b"}}, []string{"a", "b"}, []string{"c"}},
		"literal dot dot": {Filter{SkipHidden: true}, []string{"..", "."}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.filter.Validate(); err != nil {
				t.Fatal(err)
			}
			for _, rel := range test.matches {
				if !test.filter.Match(rel) {
					t.Errorf("%q does not match", rel)
				}
			}
			for _, rel := range test.others {
				if test.filter.Match(rel) {
					t.Errorf("%q matches", rel)
				}
			}
		})
	}
}

func TestFilter_MatchDir(t *testing.T) {
	f := Filter{Include: []string{"*.jpg"}, Exclude: []string{"cache", "tmp/"}, SkipHidden: true}
	for rel, want := range map[string]bool{"photos": true, "a/b": true, "cache": false, "a/tmp": false, "a/cache/b": false, ".git": false} {
		if got := f.MatchDir(rel); got != want {
			t.Errorf("%q: %v", rel, got)
		}
	}
}

func TestFilter_InvalidPatternIsAnError(t *testing.T) {
	for _, pattern := range []string{"", "/", "[", "a[b", "{a", `a\`, "a/[z-"} {
		for _, f := range []Filter{{Include: []string{pattern}}, {Exclude: []string{"ok", pattern}}} {
			if f.Validate() == nil {
				t.Errorf("%q is valid", pattern)
			}
		}
	}
}
