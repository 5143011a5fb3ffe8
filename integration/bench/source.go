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

// makeFile creates a file of size bytes of noise with a different start of each MiB.
// It has no holes, which the system could send without reading.
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
	return f.Sync() // a disk must be idle during the measurement
}

// makeFiles creates a directory of count files of size bytes of noise.
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

// stored returns the data files of all uploads in the directory of a tusd, without
// partial uploads.
func stored(dir string) ([]string, error) {
	paths, err := listFiles(dir)
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

// errBytesDiffer is returned when a server stored other bytes than the source.
var errBytesDiffer = errors.New("the server stored other bytes than the source")

// compare checks that a tusd stored exactly the source, a file or a directory.
func compare(source, dir string) error {
	paths := []string{source}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if paths, err = listFiles(source); err != nil {
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
		return fmt.Errorf("%w: %d uploads of %d", errBytesDiffer, len(got), len(want))
	}
	return nil
}

// empty removes the contents of a directory.
func empty(dir string) error {
	paths, err := listFiles(dir)
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
