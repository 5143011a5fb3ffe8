package tusdtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"
)

// Store is the directory in which a tusd stores its uploads. Its methods read the
// disk and send no requests.
type Store struct{ dir string }

// Path returns the file with the bytes of an upload.
func (s Store) Path(uploadURL string) string {
	id := uploadURL
	if u, err := url.Parse(uploadURL); err == nil {
		id = u.Path
	}
	return filepath.Join(s.dir, path.Base(id))
}

// Size returns the number of bytes of an upload that are on disk.
func (s Store) Size(uploadURL string) (int64, error) {
	info, err := os.Stat(s.Path(uploadURL))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// SHA256 returns the hash, in hexadecimal, of the bytes of an upload.
func (s Store) SHA256(uploadURL string) (string, error) { return HashFile(s.Path(uploadURL)) }

// Info returns the .info file of an upload. Its Offset has no meaning: tusd uses
// the size of the data file.
func (s Store) Info(uploadURL string) (handler.FileInfo, error) {
	data, err := os.ReadFile(s.Path(uploadURL) + ".info")
	if err != nil {
		return handler.FileInfo{}, err
	}
	var info handler.FileInfo
	err = json.Unmarshal(data, &info)
	return info, err
}

// Uploads returns the IDs of all uploads, finished or not, in sorted order.
func (s Store) Uploads() ([]string, error) {
	files, err := s.Files()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range files {
		if id, ok := strings.CutSuffix(name, ".info"); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Files returns the names of all files in the directory, in sorted order.
func (s Store) Files() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Leftovers returns the files that do not belong to a complete upload: unfinished
// uploads, locks, and data without an .info file.
func (s Store) Leftovers() ([]string, error) {
	files, err := s.Files()
	if err != nil {
		return nil, err
	}
	complete := func(id string) bool {
		info, err := s.Info(id)
		if err != nil || info.SizeIsDeferred {
			return false
		}
		size, err := s.Size(id)
		return err == nil && size == info.Size
	}
	return slices.DeleteFunc(files, func(name string) bool {
		return complete(strings.TrimSuffix(name, ".info"))
	}), nil
}

// HashFile returns the SHA-256, in hexadecimal, of a file.
func HashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
