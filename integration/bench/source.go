package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"
)

// makeFile makes a file of size bytes of noise, no MiB of which is like another. A
// file with holes would not do: a system that keeps it in memory need not read it.
func makeFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	noise := make([]byte, mib)
	rand.NewChaCha8([32]byte{8}).Read(noise)
	for offset := int64(0); offset < size; offset += mib {
		binary.BigEndian.PutUint64(noise, uint64(offset))
		if _, err := f.Write(noise[:min(mib, size-offset)]); err != nil {
			return err
		}
	}
	return f.Sync() // if there is a disk, it is to be idle
}

// makeFiles makes a folder of count files of size bytes of noise.
func makeFiles(dir string, count int, size int64) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	noise := make([]byte, size)
	random := rand.NewChaCha8([32]byte{9})
	for i := range count {
		random.Read(noise)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.bin", i)), noise, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// hashes returns the SHA-256 of the files, in sorted order.
func hashes(paths []string) ([]string, error) {
	sums := make([]string, len(paths))
	for i, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		sums[i] = string(h.Sum(nil))
	}
	slices.Sort(sums)
	return sums, nil
}

// stored returns the files that hold the complete uploads in the folder of a
// tusd, without the parts of others.
func stored(dir string) ([]string, error) {
	paths, err := filesIn(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, path := range paths {
		id, ok := strings.CutSuffix(path, ".info")
		if !ok {
			continue
		}
		encoded, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var info handler.FileInfo
		if err := json.Unmarshal(encoded, &info); err != nil {
			return nil, err
		}
		if !info.IsPartial {
			found = append(found, id)
		}
	}
	return found, nil
}

// errOtherBytes says that a server does not hold what was uploaded.
var errOtherBytes = errors.New("the server holds other bytes than the source")

// compare checks that a tusd holds exactly the source, a file or a folder.
func compare(source, dir string) error {
	paths := []string{source}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if paths, err = filesIn(source); err != nil {
			return err
		}
	}
	want, err := hashes(paths)
	if err != nil {
		return err
	}
	uploads, err := stored(dir)
	if err != nil {
		return err
	}
	got, err := hashes(uploads)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%w: %d uploads of %d", errOtherBytes, len(got), len(want))
	}
	return nil
}

// empty removes what is in a folder.
func empty(dir string) error {
	paths, err := filesIn(dir)
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
