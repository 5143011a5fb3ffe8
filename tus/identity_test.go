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

// TestFile_SameNameInTwoDirectoriesIsDistinct has files of one name, size and time, as
// archives and reproducible builds make them.
func TestFile_SameNameInTwoDirectoriesIsDistinct(t *testing.T) {
	dir, when := t.TempDir(), time.Unix(1e9, 0)
	contents := map[string][]byte{"one": bytes.Repeat([]byte("a"), 10_000), "two": bytes.Repeat([]byte("b"), 10_000)}
	for folder, data := range contents {
		path := filepath.Join(dir, folder, "index.bin")
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
			t.Errorf("%s: another file's upload was gone on with", name)
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

// TestEndpoint_TokenIsNotStored also shows how an upload is found again after it was
// renewed.
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

// TestURLWithoutScheme_PasswordIsNotInError is for those who forget the "https://" in front of
// it.
func TestURLWithoutScheme_PasswordIsNotInError(t *testing.T) {
	const bad = "admin:hunter2@example.org/files/"
	_, err := tus.NewClient(bad, nil)
	wantError(t, err, tus.ErrInvalidInput)
	_, asked := newClient(t, "http://tus.test/files/", nil).Info(testContext(t), bad+"1")
	wantError(t, asked, tus.ErrInvalidInput)
	for _, err := range []error{err, asked} {
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error tells the password: %v", err)
		}
	}
}
