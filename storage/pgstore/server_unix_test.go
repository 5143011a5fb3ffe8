//go:build unix

package pgstore_test

import (
	"os"
	"path/filepath"
	"testing"
)

// startServer starts the server for the tests that do not stop it.
func startServer() (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "pgstore")
	if err != nil {
		return "", nil, err
	}
	c, err := newCluster(dir, "max_connections=400", "fsync=off")
	if err == nil {
		err = c.start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return c.url(), func() { c.stop(); os.RemoveAll(dir) }, nil
}

// needPrograms skips the test if a program is missing.
func needPrograms(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if program(name) == "" {
			missing(t, name)
		}
	}
}

// serverDir returns a directory that is removed after the test. That of t.TempDir is in one
// that only this user can enter.
func serverDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgstore")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startCluster starts a server that the test may stop.
func startCluster(t testing.TB, settings ...string) *cluster {
	t.Helper()
	needPrograms(t, "initdb", "postgres")
	c, err := newCluster(serverDir(t), settings...)
	if err != nil {
		t.Fatal(err)
	}
	startForTest(t, c)
	return c
}

// startForTest starts a server, and stops it after the test.
func startForTest(t testing.TB, c *cluster) {
	t.Helper()
	t.Cleanup(func() {
		c.stop()
		if log, err := os.ReadFile(filepath.Join(c.dir, "postgres.log")); t.Failed() && err == nil {
			t.Logf("log of the server:\n%s", log[max(0, len(log)-4000):])
		}
	})
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
}
