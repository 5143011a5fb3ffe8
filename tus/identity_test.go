package tus_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// TestFile_SameNameInTwoDirectoriesIsDistinct has files of the same name, size and time, as
// archives and reproducible builds create them.
func TestFile_SameNameInTwoDirectoriesIsDistinct(t *testing.T) {
	dir, when := t.TempDir(), time.Unix(1e9, 0)
	contents := map[string][]byte{"one": bytes.Repeat([]byte("a"), 10_000), "two": bytes.Repeat([]byte("b"), 10_000)}
	for name, data := range contents {
		path := filepath.Join(dir, name, "index.bin")
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	opened := func(path string) tus.Source {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return tus.OpenedFile(f)
	}
	for name, source := range map[string]func(path string) tus.Source{
		"by path": tus.File, "opened": opened, "in a file system": func(path string) tus.Source { return tus.FSFile(os.DirFS(dir), path) },
	} {
		srv, store := tustest.NewServer(t, nil), &storage.Memory{}
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Fingerprinter: fingerprint.Stat{}})
		half := whole()
		half.StopAt = 4000
		_, err := client.Upload(testContext(t), source("one/index.bin"), half)
		wantError(t, err, tus.ErrPaused)
		res, err := client.Upload(testContext(t), source("two/index.bin"), whole())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, contents["two"])
		if res.Stats.ResumedFrom != 0 {
			t.Errorf("%s: the upload of another file was resumed", name)
		}
		if res, err = client.Upload(testContext(t), source("one/index.bin"), whole()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, contents["one"])
		if res.Stats.ResumedFrom != 4000 {
			t.Errorf("%s: resumed from %d", name, res.Stats.ResumedFrom)
		}
	}
}

// TestEndpoint_TokenIsNotStored also resumes with a new token in the endpoint.
func TestEndpoint_TokenIsNotStored(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := func(token string) *tus.Client {
		return newClient(t, srv.Endpoint()+"?token="+token, &tus.Options{Store: store, ResumeScope: "videos"})
	}
	half := whole()
	half.StopAt = 4000
	_, err := client("first-secret").Upload(testContext(t), tus.Bytes(data), half)
	wantError(t, err, tus.ErrPaused)
	for _, rec := range records(t, store) {
		if strings.Contains(rec.Endpoint, "secret") || rec.Endpoint == "" {
			t.Errorf("endpoint is stored as %q", rec.Endpoint)
		}
	}
	res, err := client("second-secret").Upload(testContext(t), tus.Bytes(data), whole())
	if err != nil || res.Stats.ResumedFrom != 4000 {
		t.Errorf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
}

// A URL without scheme parses with the login as scheme or path.
func TestURLWithoutScheme_PasswordIsNotInError(t *testing.T) {
	const bad = "admin:hunter2@example.org/files/"
	_, err := tus.NewClient(bad, nil)
	wantError(t, err, tus.ErrInvalidInput)
	_, infoErr := newClient(t, "http://tus.test/files/", nil).Info(testContext(t), bad+"1")
	wantError(t, infoErr, tus.ErrInvalidInput)
	for _, err := range []error{err, infoErr} {
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error shows the password: %v", err)
		}
	}
}
