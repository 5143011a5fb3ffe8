// Package npm installs packages of the npm registry for tests and benchmarks that
// meet other tus clients.
package npm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// ErrMissing says that there is no Node, no npm or no registry here: nothing is wrong
// with the code, and a test may be skipped.
var ErrMissing = errors.New("not available here")

// patience bounds an installation. A package of some hundred KiB takes seconds.
const patience = 90 * time.Second

// Package is a package that is installed and can be required.
type Package struct {
	node    string
	modules string // folder for NODE_PATH
}

// Install returns that version of a package. It is installed once, into the user's
// cache, where later runs and other programs find it. None of its scripts is run.
func Install(ctx context.Context, name, version string) (Package, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return Package{}, fmt.Errorf("node is %w: %w", ErrMissing, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Package{}, err
	}
	cache = filepath.Join(cache, "tus-go", "npm")
	dir := filepath.Join(cache, name+"-"+version)
	found := Package{node, filepath.Join(dir, "node_modules")}
	if _, err := os.Stat(dir); err == nil {
		return found, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return Package{}, fmt.Errorf("npm is %w: %w", ErrMissing, err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return Package{}, err
	}
	removeAbandoned(cache)
	// It gets its name when it is whole: an installation that was killed, or another
	// one at the same time, does no harm.
	fresh, err := os.MkdirTemp(cache, installing)
	if err != nil {
		return Package{}, err
	}
	defer os.RemoveAll(fresh)
	if err := install(ctx, npm, fresh, name+"@"+version); err != nil {
		return Package{}, err
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr != nil { // else somebody else was faster
			return Package{}, err
		}
	}
	return found, nil
}

// Command runs a script of the caller, which may require the package.
func (p Package) Command(ctx context.Context, script string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.node, append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+p.modules)
	return cmd
}

// unreachable is how npm says that it does not reach its registry.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|E50[234]|network request`)

func install(ctx context.Context, npm, dir, spec string) error {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(bounded, npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund",
		"--loglevel=error", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=5000", spec)
	cmd.WaitDelay = time.Second // for what it may have started
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil, unreachable.Match(out):
		return fmt.Errorf("the npm registry is %w", ErrMissing)
	}
	return fmt.Errorf("npm install: %w\n%s", err, out)
}

const installing = "installing-"

// removeAbandoned removes what installations left that were killed.
func removeAbandoned(cache string) {
	entries, _ := filepath.Glob(filepath.Join(cache, installing+"*"))
	for _, dir := range entries {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir) // it only takes space
		}
	}
}
