// Package npm installs npm packages for tests and benchmarks with other tus
// clients.
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

// ErrMissing is returned when Node, npm or the registry is unavailable. A test may
// be skipped then.
var ErrMissing = errors.New("not available here")

// installTimeout bounds an installation. A package of some hundred KiB takes
// seconds.
const installTimeout = 90 * time.Second

// Package is an installed package.
type Package struct {
	node    string
	modules string // directory for NODE_PATH
}

// Install installs a version of a package into the user's cache directory, unless it
// is there already. It runs none of the package's scripts. It returns an error
// matching ErrMissing if Node, npm or the registry is unavailable.
func Install(ctx context.Context, name, version string) (Package, error) {
	return InstallAll(ctx, name+"-"+version, name+"@"+version)
}

// InstallAll is [Install] for several packages, such as "express@5.3.0", that one script
// requires. name identifies them in the cache directory.
func InstallAll(ctx context.Context, name string, specs ...string) (Package, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return Package{}, fmt.Errorf("node is %w: %w", ErrMissing, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Package{}, err
	}
	cache = filepath.Join(cache, "tus-go", "npm")
	dir := filepath.Join(cache, name)
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
	// Rename the directory when it is complete, in case this installation is killed or
	// another one runs at the same time.
	fresh, err := os.MkdirTemp(cache, installing)
	if err != nil {
		return Package{}, err
	}
	defer os.RemoveAll(fresh)
	if err := install(ctx, npm, fresh, specs); err != nil {
		return Package{}, err
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr != nil { // else another process was faster
			return Package{}, err
		}
	}
	return found, nil
}

// Command returns the command that runs a script of the caller, which may require
// the package.
func (p Package) Command(ctx context.Context, script string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.node, append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+p.modules)
	return cmd
}

// unreachable matches the errors of npm for an unreachable registry.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|E50[234]|network request`)

func install(ctx context.Context, npm, dir string, specs []string) error {
	bounded, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	cmd := exec.CommandContext(bounded, npm, append([]string{"install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund",
		"--loglevel=error", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=5000"}, specs...)...)
	cmd.WaitDelay = time.Second // npm's children may keep the pipe open
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

// removeAbandoned removes the directories of killed installations.
func removeAbandoned(cache string) {
	entries, _ := filepath.Glob(filepath.Join(cache, installing+"*"))
	for _, dir := range entries {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir) // a leftover only takes space
		}
	}
}
