package release_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// root is the directory of the root module.
const root = "../.."

const rootModule = "github.com/seed-175555ba/tus-go"

// moduleDirs returns the directories of the modules of the repository, relative to root.
func moduleDirs() []string {
	return []string{".", "examples", "integration", "storage/natsstore", "storage/pgstore"}
}

// modulePath returns the path of the module in dir.
func modulePath(dir string) string {
	if dir == "." {
		return rootModule
	}
	return rootModule + "/" + dir
}

// goMod returns the parsed go.mod of the module in dir.
func goMod(t *testing.T, dir string) *modfile.File {
	t.Helper()
	path := filepath.Join(root, dir, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse(path, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// requiredVersion returns the version of the root module that the module in dir requires.
func requiredVersion(t *testing.T, dir string) string {
	t.Helper()
	for _, r := range goMod(t, dir).Require {
		if r.Mod.Path == rootModule {
			return r.Mod.Version
		}
	}
	t.Fatalf("%s/go.mod does not require the root module", dir)
	return ""
}

// newProxy returns the directory of a file proxy with all modules of the repository at
// version, as the working tree has them.
func newProxy(t *testing.T, version string) string {
	t.Helper()
	proxy := t.TempDir()
	for _, dir := range moduleDirs() {
		addModule(t, proxy, dir, module.Version{Path: modulePath(dir), Version: version})
	}
	return proxy
}

// addModule adds the module in dir to a file proxy.
func addModule(t *testing.T, proxy, dir string, m module.Version) {
	t.Helper()
	var archive bytes.Buffer
	if err := zip.Create(&archive, m, moduleFiles(t, dir)); err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile(filepath.Join(root, dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	versions := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(versions, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"list":              []byte(m.Version + "\n"),
		m.Version + ".info": fmt.Appendf(nil, `{"Version":%q}`, m.Version),
		m.Version + ".mod":  gomod,
		m.Version + ".zip":  archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// moduleFiles returns the files of the module in dir that git tracks or would add. Zip
// omits those of nested modules.
func moduleFiles(t *testing.T, dir string) []zip.File {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = filepath.Join(root, dir)
	list, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var files []zip.File
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		path := filepath.Join(root, dir, filepath.FromSlash(name))
		if _, err := os.Stat(path); err == nil { // not deleted in the working tree
			files = append(files, treeFile{name, path})
		}
	}
	return files
}

// treeFile is a file of the working tree, for package zip.
type treeFile struct{ name, path string }

func (f treeFile) Path() string                 { return f.name }
func (f treeFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.path) }
func (f treeFile) Open() (io.ReadCloser, error) { return os.Open(f.path) }
