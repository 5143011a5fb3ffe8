//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"time"
)

// tool is a command of a Go module. It is installed into the user's cache directory, so that its
// dependencies do not become those of this module.
type tool struct {
	pkg     string // import path of the command
	version string
}

// The commands that servers are made of. A build takes one to two minutes.
func tusdTool() tool    { return tool{"github.com/tus/tusd/v2/cmd/tusd", "v2.9.1"} }
func oldTusdTool() tool { return tool{"github.com/tus/tusd/cmd/tusd", "v1.13.0"} }
func s3Tool() tool      { return tool{"github.com/versity/versitygw/cmd/versitygw", "v1.8.0"} }
func gcsTool() tool     { return tool{"github.com/fsouza/fake-gcs-server", "v1.56.1"} }

// buildTimeout bounds the installation of a tool.
const buildTimeout = 10 * time.Minute

// unavailable matches the errors of the go command if modules cannot be downloaded or the Go
// release is too old for them.
var unavailable = regexp.MustCompile(`dial tcp|no such host|i/o timeout|connection refused|TLS handshake|lookup disabled|GOPROXY=off|requires go >=|toolchain not available`)

// path returns the file name of the installed tool, which may not exist.
func (t tool) path() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := path.Base(t.pkg)
	return filepath.Join(cache, "tus-go", "go", name+"@"+t.version, name), nil
}

// install returns the file name of the tool, and builds it if it is not in the cache. It returns
// an error matching ErrNotInstalled if the module or the Go command is unavailable.
func (t tool) install(ctx context.Context) (string, error) {
	binary, err := t.path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	dir := filepath.Dir(binary)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	// Rename the directory when it is complete: this process may be killed.
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "installing-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", t.pkg+"@"+t.version)
	cmd.Dir = fresh // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+fresh, "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound), unavailable.Match(out):
		return "", fmt.Errorf("%s@%s is %w: %w", t.pkg, t.version, ErrNotInstalled, err)
	case err != nil:
		return "", fmt.Errorf("go install %s@%s: %w\n%s", t.pkg, t.version, err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, statErr := os.Stat(binary); statErr != nil { // else another process was faster
			return "", err
		}
	}
	return binary, nil
}

// on returns a function for the version of a server whose storage is in another one.
func on(server func() (string, error), storage, version string) func() (string, error) {
	return func() (string, error) {
		of, err := server()
		return of + " on " + storage + " " + version, err
	}
}

// installed returns the version if the tool is in the cache.
func (t tool) installed() (string, error) {
	binary, err := t.path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%s is %w", path.Base(t.pkg), ErrNotInstalled)
	}
	return t.version, nil
}
