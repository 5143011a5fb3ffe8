package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// Job is an upload that a worker has to make. It has no credentials of the server: the workers
// have them.
type Job struct {
	// Source is the path of a file, relative to the root that all workers have, with
	// slashes; or an http or https URL, with its query.
	Source string `json:"source"`
	// Endpoint is the upload creation URL, without user and query.
	Endpoint string `json:"endpoint"`
	// Metadata is stored with the upload.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Failure is why a job was given up.
type Failure struct {
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Worker   string    `json:"worker"`
	Time     time.Time `json:"time"`
}

// failed is a message of the stream of jobs that failed.
type failed struct {
	Job     Job     `json:"job"`
	Failure Failure `json:"failure"`
}

// IsURL reports whether the source is a URL.
func (j Job) IsURL() bool {
	return strings.HasPrefix(j.Source, "http://") || strings.HasPrefix(j.Source, "https://")
}

// Name returns the source without the query of a URL, which may be a signature.
func (j Job) Name() string {
	if u, err := url.Parse(j.Source); j.IsURL() && err == nil {
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		return u.String()
	}
	return j.Source
}

// Path returns the path of the file below root.
func (j Job) Path(root string) string { return filepath.Join(root, filepath.FromSlash(j.Source)) }

// Validate returns an error if no worker can upload the job.
func (j Job) Validate() error {
	switch {
	case !utf8.ValidString(j.Source):
		return errors.New("the name is not UTF-8, which jobs require")
	case j.IsURL():
		if u, err := url.Parse(j.Source); err != nil || u.Host == "" || u.User != nil {
			return errors.New("must be a URL without user and password: a job keeps no credentials")
		}
	case !filepath.IsLocal(filepath.FromSlash(j.Source)):
		return errors.New("is not below the root")
	}
	if u, err := url.Parse(j.Endpoint); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("the endpoint must be a URL without user, password and query: a job keeps no credentials")
	}
	return nil
}

// key identifies a job. Equal jobs are in the queue once.
func (j Job) key() (string, []byte, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return "", nil, fmt.Errorf("job: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), data, nil
}
