package disk

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestMkdirAll_CreatesParents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	for at := dir; filepath.Base(at) != "a"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", at, info.Mode())
		}
	}
	t.Chdir(dir)
	if err := MkdirAll(filepath.Join("d", "e")); err != nil {
		t.Errorf("relative path: %v", err)
	}
	if err := MkdirAll("."); err != nil {
		t.Errorf("current directory: %v", err)
	}
}

func TestMkdirAll_BelowFileFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "dir")} {
		if err := MkdirAll(dir); err == nil {
			t.Errorf("created %s", dir)
		}
	}
}
