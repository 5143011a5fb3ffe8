// Package release tests that the modules of the repository can be released: that users get
// them from a module proxy without this checkout.
package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// The go command refuses to install programs of a module with replace directives.
func TestModules_HaveNoReplaceDirectives(t *testing.T) {
	for _, dir := range moduleDirs() {
		if n := len(goMod(t, dir).Replace); n > 0 {
			t.Errorf("%s/go.mod has %d replace directives", dir, n)
		}
	}
}

// The workspace replaces exactly the versions that the nested modules require, which may be
// unreleased.
func TestModules_RequireTheVersionOfTheWorkspace(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	work, err := modfile.ParseWork("go.work", content, nil)
	if err != nil {
		t.Fatal(err)
	}
	replaced, required := map[string]string{}, map[string]bool{}
	for _, r := range work.Replace {
		replaced[r.Old.Path] = r.Old.Version
		if modulePath(filepath.ToSlash(filepath.Clean(r.New.Path))) != r.Old.Path {
			t.Errorf("go.work replaces %s with %s", r.Old.Path, r.New.Path)
		}
	}
	for _, dir := range moduleDirs() {
		if !slices.ContainsFunc(work.Use, func(u *modfile.Use) bool { return filepath.ToSlash(filepath.Clean(u.Path)) == dir }) {
			t.Errorf("go.work does not use %s", dir)
		}
		for _, r := range goMod(t, dir).Require {
			if r.Mod.Path != rootModule && !strings.HasPrefix(r.Mod.Path, rootModule+"/") {
				continue
			}
			required[r.Mod.Path] = true
			if r.Mod.Version != replaced[rootModule] || replaced[r.Mod.Path] != r.Mod.Version {
				t.Errorf("%s/go.mod requires %s, go.work replaces %q", dir, r.Mod, replaced[r.Mod.Path])
			}
		}
	}
	for _, dir := range moduleDirs()[1:] {
		requiredVersion(t, dir)
	}
	for path := range replaced {
		if !required[path] {
			t.Errorf("go.work replaces %s, which no module requires", path)
		}
	}
}

// With the tags of a release, "go install" gets tusup from a module proxy.
func TestInstall_TusupReportsTheReleasedVersion(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("not a git checkout")
	}
	version := requiredVersion(t, "examples")
	// This downloads what tusup imports, in the versions that it has outside of the workspace,
	// and go.sum verifies it. The installation then needs neither network nor checksum database.
	goTool(t, []string{"GOWORK=off"}, "-C", "../../examples", "list", "-modfile="+ownMod(t, "examples"), "-deps", "./tusup")
	downloads := filepath.Join(strings.TrimSpace(goTool(t, nil, "env", "GOMODCACHE")), "cache", "download")

	bin := t.TempDir()
	goTool(t, []string{
		"GOBIN=" + bin,
		"GOWORK=off",
		"GOPROXY=" + fileURL(newProxy(t, version)) + "," + fileURL(downloads),
		"GONOPROXY=none", "GOSUMDB=off",
		// The unreleased version must not get into the module cache of the user.
		"GOMODCACHE=" + t.TempDir(),
		"GOFLAGS=-modcacherw -trimpath", // the build cache then does not depend on the directory
	}, "install", modulePath("examples")+"/tusup@"+version)

	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "tusup"), "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("tusup --version: %v\n%s", err, out)
	}
	if fields := strings.Fields(string(out)); len(fields) < 2 || fields[0] != "tusup" || fields[1] != version {
		t.Errorf("tusup --version prints %q, want version %s", out, version)
	}
}

// goTool runs the go command with more environment variables and returns its output.
func goTool(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// fileURL returns the URL of a directory.
func fileURL(dir string) string {
	path := filepath.ToSlash(dir)
	if !strings.HasPrefix(path, "/") { // C:/...
		path = "/" + path
	}
	return "file://" + path
}
