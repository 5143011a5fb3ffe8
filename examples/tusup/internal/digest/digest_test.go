package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestOfFile_DigestOfAllBytes(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 3<<20 + 7} {
		data := make([]byte, size)
		rand.NewChaCha8([32]byte{7}).Read(data)
		path := filepath.Join(t.TempDir(), "file.bin")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := OfFile(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := d.Sum(); sum != hexOf(data) || err != nil {
			t.Errorf("%d bytes: %s, %v", size, sum, err)
		}
	}
}

func TestFile_ChangeIsDetected(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	for name, change := range map[string]func(path string) error{
		"appended": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("more")
			return err
		},
		"overwritten": func(path string) error { return os.WriteFile(path, []byte("other"), 0o600) },
		"time set back": func(path string) error {
			if err := os.WriteFile(path, []byte("other"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(path, past, past)
		},
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", []byte("other"), 0o600); err != nil {
				return err
			}
			if err := os.Chtimes(path+".new", past, past); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "time set back" && runtime.GOOS == "windows" {
				t.Skip("no change time on Windows")
			}
			path := filepath.Join(t.TempDir(), "file.bin")
			if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, past, past); err != nil {
				t.Fatal(err)
			}
			d, err := OfFile(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // the resolution of the change time
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if sum, err := d.Sum(); !errors.Is(err, ErrChanged) || sum != "" {
				t.Errorf("digest %q, %v", sum, err)
			}
		})
	}
}

func TestOfReader_EndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	endless := readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if _, err := OfReader(ctx, endless); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
