package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree creates files in a directory. A name that ends with a slash is an empty directory,
// and "a -> b" is a link.
func tree(t *testing.T, names ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, name := range names {
		name, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(root, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		switch {
		case err != nil:
		case isLink:
			if err = os.Symlink(target, path); err != nil {
				t.Skip(err)
			}
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		default:
			err = os.WriteFile(path, []byte(name), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// selected selects the files of args.
func selected(t *testing.T, opts Options, args ...string) Selection {
	t.Helper()
	s, err := Select(context.Background(), args, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantFiles fails unless s has exactly these relative paths.
func wantFiles(t *testing.T, s Selection, want ...string) {
	t.Helper()
	var got []string
	for _, f := range s.Files {
		got = append(got, filepath.ToSlash(f.Relative))
	}
	if !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
}

func TestSelect_DirectoryIsSortedByName(t *testing.T) {
	root := tree(t, "b/c", "a", "b.txt", "z/", ".hidden", "b/a")
	s := selected(t, Options{}, root)
	wantFiles(t, s, ".hidden", "a", "b/a", "b/c", "b.txt")
	if f := s.Files[2]; f.Path != filepath.Join(root, "b", "a") || f.Size != 3 {
		t.Errorf("file is %+v", f)
	}
	if s.Skipped != (Skipped{EmptyDirectories: 1}) || len(s.Errors) != 0 {
		t.Errorf("skipped %+v, errors %v", s.Skipped, s.Errors)
	}
}

func TestSelect_FilterCountsWhatItOmits(t *testing.T) {
	root := tree(t, "a.jpg", "b.png", ".git/config", "cache/a.jpg", "cache/b.jpg", ".env", "sub/c.jpg")
	s := selected(t, Options{Filter: Filter{Include: []string{"*.jpg"}, Exclude: []string{"cache"}, SkipHidden: true}}, root)
	wantFiles(t, s, "a.jpg", "sub/c.jpg")
	if s.Skipped != (Skipped{Filtered: 2, Hidden: 2}) {
		t.Errorf("skipped %+v", s.Skipped)
	}
}

func TestSelect_PatternOfDirectoryKeepsFile(t *testing.T) {
	root := tree(t, "a/tmp/x", "b/tmp", "c/y", "link -> b/tmp", "broken -> nowhere", "d/link -> ../c")
	s := selected(t, Options{Filter: Filter{Exclude: []string{"tmp/", "link/", "broken"}}, FollowLinks: true}, root)
	wantFiles(t, s, "b/tmp", "c/y", "link")
	if s.Skipped != (Skipped{Filtered: 3}) || len(s.Errors) != 0 {
		t.Errorf("skipped %+v, errors %v", s.Skipped, s.Errors)
	}
}

func TestSelect_FilterOfNamedFiles(t *testing.T) {
	root := tree(t, "a.jpg", "b.png", ".c.jpg")
	args := []string{filepath.Join(root, "a.jpg"), filepath.Join(root, "b.png"), filepath.Join(root, ".c.jpg"), "-"}
	s := selected(t, Options{Filter: Filter{Include: []string{"*.jpg"}, SkipHidden: true}}, args...)
	if len(s.Files) != 3 || s.Files[1].Path != args[2] || !s.Files[2].Stdin || s.Skipped != (Skipped{Filtered: 1}) {
		t.Errorf("files are %+v, skipped %+v", s.Files, s.Skipped)
	}
}

func TestSelect_FilterOfNamedPaths(t *testing.T) {
	t.Chdir(tree(t, "tmp/a", "tmp/b", "c"))
	for name, test := range map[string]struct {
		filter Filter
		want   []string
	}{
		"path":              {Filter{Exclude: []string{"tmp/a*"}}, []string{"./tmp/b", "c"}},
		"base name":         {Filter{Exclude: []string{"a"}}, []string{"./tmp/b", "c"}},
		"include path":      {Filter{Include: []string{"tmp/*"}}, []string{"tmp/a", "./tmp/b"}},
		"directory above":   {Filter{Exclude: []string{"tmp"}}, []string{"tmp/a", "./tmp/b", "c"}},
		"top":               {Filter{Include: []string{"/*"}}, []string{"c"}},
		"everything in tmp": {Filter{Exclude: []string{"tmp/**"}}, []string{"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := selected(t, Options{Filter: test.filter}, "tmp/a", "./tmp/b", "c")
			var got []string
			for _, f := range s.Files {
				got = append(got, f.Path)
			}
			if !slices.Equal(got, test.want) || s.Skipped.Filtered != 3-len(got) {
				t.Errorf("files are %q, skipped %+v", got, s.Skipped)
			}
		})
	}
}

func TestSelect_ExcludedFileIsNotOpened(t *testing.T) {
	root := tree(t, "a", "broken -> nowhere")
	s := selected(t, Options{Filter: Filter{Exclude: []string{"broken"}}}, root)
	wantFiles(t, s, "a")
	if len(s.Errors) != 0 {
		t.Errorf("errors are %v", s.Errors)
	}
}

func TestSelect_LinksToDirectories(t *testing.T) {
	names := []string{"a/x", "a/up -> ..", "a/self -> .", "link -> a", "file -> a/x"}
	for name, test := range map[string]struct {
		follow  bool
		files   []string
		skipped Skipped
	}{
		"skipped":  {false, []string{"a/x", "file"}, Skipped{Links: 3}},
		"followed": {true, []string{"a/x", "file", "link/x"}, Skipped{Loops: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			s := selected(t, Options{FollowLinks: test.follow}, tree(t, names...))
			wantFiles(t, s, test.files...)
			if s.Skipped != test.skipped || len(s.Errors) != 0 {
				t.Errorf("skipped %+v, errors %v", s.Skipped, s.Errors)
			}
		})
	}
}

func TestSelect_LinkToDirectoryAboveArgument(t *testing.T) {
	root := tree(t, "a/b/x", "a/b/out -> ../..")
	s := selected(t, Options{FollowLinks: true}, filepath.Join(root, "a", "b"))
	wantFiles(t, s, "x")
	if s.Skipped != (Skipped{Loops: 1}) {
		t.Errorf("skipped %+v", s.Skipped)
	}
}

func TestSelect_ErrorsAreValues(t *testing.T) {
	root := tree(t, "a", "broken -> nowhere")
	missing := filepath.Join(root, "missing")
	s := selected(t, Options{}, missing, root, "-", "-")
	if len(s.Files) != 2 || len(s.Errors) != 3 {
		t.Fatalf("files are %+v, errors %v", s.Files, s.Errors)
	}
	if e := s.Errors[0]; e.Path != missing || !errors.Is(e, fs.ErrNotExist) || strings.Contains(e.Err.Error(), missing) {
		t.Errorf("error is %v", e)
	}
}

func TestSelect_FileNamedTwiceIsSelectedOnce(t *testing.T) {
	root := tree(t, "a", "b")
	t.Chdir(root)
	s := selected(t, Options{List: []string{"b", "a"}}, "a", "./a", root, filepath.Join(root, "a"))
	if len(s.Files) != 2 || s.Skipped != (Skipped{Repeated: 5}) {
		t.Errorf("files are %+v, skipped %+v", s.Files, s.Skipped)
	}
}

// link/../a is a in the directory of real, not a in the directory of link.
func TestSelect_DotDotBehindLinkIsAnotherFile(t *testing.T) {
	root := tree(t, "a", "other/a", "other/real/b", "link -> other/real")
	t.Chdir(root)
	up := "link" + string(filepath.Separator) + ".."
	s := selected(t, Options{}, "a", up+string(filepath.Separator)+"a", up)
	var got []string
	for _, f := range s.Files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(data))
	}
	if want := []string{"a", "other/a", "other/real/b"}; !slices.Equal(got, want) || s.Skipped.Repeated != 1 {
		t.Errorf("content is %q, skipped %+v", got, s.Skipped)
	}
}

func TestSelect_ListMayNameFileLikeStandardInput(t *testing.T) {
	t.Chdir(tree(t, "-"))
	s := selected(t, Options{List: []string{"-"}}, "-")
	if len(s.Files) != 2 || !s.Files[0].Stdin || s.Files[1].Stdin || s.Files[1].Size != 1 {
		t.Errorf("files are %+v", s.Files)
	}
}

func TestSelect_EndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Select(ctx, []string{tree(t, "a")}, Options{}); err != context.Canceled {
		t.Errorf("error is %v", err)
	}
}

// A hundred links to a directory of a thousand files are quickly created.
func TestSelect_HundredThousandFiles(t *testing.T) {
	const links, perDirectory = 99, 1000
	var names []string
	for n := range perDirectory {
		names = append(names, fmt.Sprintf("files/%d", n))
	}
	for n := range links {
		names = append(names, fmt.Sprintf("link%d -> files", n))
	}
	root := tree(t, names...)
	start := time.Now()
	s := selected(t, Options{FollowLinks: true, Filter: Filter{Include: []string{"**/*"}, Exclude: []string{"*.part", "tmp/**"}}}, root)
	took := time.Since(start)
	t.Logf("%d files in %v", len(s.Files), took)
	if len(s.Files) != (links+1)*perDirectory || took > 20*time.Second {
		t.Errorf("%d files in %v", len(s.Files), took)
	}
}

func TestSkipped_String(t *testing.T) {
	if text := (Skipped{}).String(); text != "" {
		t.Errorf("nothing skipped is %q", text)
	}
	got := Skipped{Links: 3, NamedPipes: 1, EmptyDirectories: 2, Repeated: 1}.String()
	if want := "3 links to directories (--follow uploads them), 1 named pipe, 2 empty directories, 1 file named twice"; got != want {
		t.Errorf("text is %q", got)
	}
}
