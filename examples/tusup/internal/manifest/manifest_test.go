package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	digestA = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" // of "a"
	digestB = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d" // of "b"
)

// names are names of files that are hard to write in a line.
var names = []string{"a", "dir/b c", " lead", "trail ", "*star", "#hash", `back\slash`, "new\nline", "carriage\rreturn", `\n`, "not\xffUTF-8", "ü", `end\`}

func TestRead_AcceptsSha256sumFormats(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []Entry
	}{
		"text":       {digestA + "  a\n", []Entry{{digestA, "a", ""}}},
		"binary":     {digestA + " *a\n", []Entry{{digestA, "a", ""}}},
		"upper case": {strings.ToUpper(digestA) + "  a\n", []Entry{{digestA, "a", ""}}},
		"CRLF":       {digestA + "  a\r\n\r\n" + digestB + "  b\r\n", []Entry{{digestA, "a", ""}, {digestB, "b", ""}}},
		"no newline": {digestA + "  a", []Entry{{digestA, "a", ""}}},
		"escaped":    {`\` + digestA + `  a\nb\\c\rd` + "\n", []Entry{{digestA, "a\nb\\c\rd", ""}}},
		"unescaped":  {digestA + `  a\nb` + "\n", []Entry{{digestA, `a\nb`, ""}}},
		"URL":        {"# https://example.org/files/1\n" + digestA + "  a\n" + digestB + "  b\n", []Entry{{digestA, "a", "https://example.org/files/1"}, {digestB, "b", ""}}},
		"comment":    {"# made by hand\n" + digestA + "  a\n", []Entry{{digestA, "a", ""}}},
		"stdin":      {digestA + "  -\n", []Entry{{digestA, "-", ""}}},
		"empty":      {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := Read(strings.NewReader(test.text))
			if len(errs) > 0 || !reflect.DeepEqual(got, test.want) {
				t.Errorf("entries are %q, errors %v", got, errs)
			}
		})
	}
}

func TestRead_ReportsInvalidLines(t *testing.T) {
	text := digestA + "  a\nnonsense\n" + digestA + "\n" + digestA + "  \n" + digestA + " a\n" + strings.Replace(digestA, "c", "g", 1) + "  a\n\\" +
		digestA + "  a\\x\n\\" + digestA + "  a\\\n" + digestA + "  a\x00b\n" + digestB + "  b\n"
	got, errs := Read(strings.NewReader(text))
	if len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Errorf("entries are %q", got)
	}
	if len(errs) != 8 {
		t.Fatalf("errors are %v", errs)
	}
	var line *LineError
	if !errors.As(errs[0], &line) || line.Line != 2 {
		t.Errorf("first error is %v", errs[0])
	}
}

func TestWrite_ReadReturnsTheSameEntries(t *testing.T) {
	var want []Entry
	for i, name := range names {
		e := Entry{Digest: digestA, Name: name}
		if i%2 == 0 {
			e.URL = "https://example.org/files/x?y=z"
		}
		want = append(want, e)
	}
	path := filepath.Join(t.TempDir(), "SHA256SUMS")
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, errs := Read(f); len(errs) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("entries are %q, errors %v", got, errs)
	}
}

func TestWrite_ReplacesFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "SHA256SUMS"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("SHA256SUMS", link); err != nil {
		t.Skip(err)
	}
	if err := Write(link, []Entry{{Digest: digestA, Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != digestA+"  a\n" {
		t.Errorf("content is %q, %v", data, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	wantEntries(t, dir, 2)
}

// wantEntries fails unless dir has n entries: no temporary file is left.
func wantEntries(t *testing.T, dir string, n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != n {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}

func TestWritable_ChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "SHA256SUMS")
	if err := Writable(path); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, dir, 0)
	for _, path := range []string{dir, filepath.Join(dir, "missing", "SHA256SUMS")} {
		if Writable(path) == nil || Write(path, nil) == nil {
			t.Errorf("%s is writable", path)
		}
	}
}

func FuzzRead_EntriesSurviveWrite(f *testing.F) {
	for _, name := range names {
		f.Add(Entry{Digest: digestA, Name: name, URL: "https://example.org/"}.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, _ := Read(strings.NewReader(text))
		for _, e := range entries {
			again, errs := Read(strings.NewReader(e.String()))
			if len(errs) > 0 || len(again) != 1 || again[0] != e {
				t.Errorf("%q was read as %q, %v", e, again, errs)
			}
		}
	})
}
