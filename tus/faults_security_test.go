package tus_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Statements of SECURITY.md without a test elsewhere.

func TestCredentials_NotToStoredForeignURL(t *testing.T) {
	// Write access to the store allows to redirect an upload, but not to get the
	// credentials.
	home, foreign := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	data := randomBytes(10_000)
	target := uploadOn(t, foreign, data)
	known := len(foreign.Requests())
	store := &storage.Memory{}
	stoppedAt(t, home.Endpoint(), store, tus.Bytes(data), 3000)
	rec := records(t, store)[0]
	rec.UploadURL, rec.Seal = target, ""
	if _, err := store.Put(context.Background(), rec); err != nil {
		t.Fatal(err)
	}
	opts := secretOptions()
	opts.Store = store
	if _, err := newClient(t, home.Endpoint(), opts).Upload(testContext(t), tus.Bytes(data), chunked()); err != nil {
		t.Fatal(err)
	}
	wantStored(t, foreign.Handler, target, data)
	for _, r := range foreign.Requests()[known:] {
		wantNoSecrets(t, r)
	}
}

func TestUploadURLIsStoredWithItsQuery(t *testing.T) {
	// The upload cannot be resumed without the query. User and password of the endpoint
	// are not needed.
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "/files/00000001?signature=QUERY")})
	opts := chunked()
	opts.StopAt = 3000
	endpoint := strings.Replace(srv.Endpoint(), "http://", "http://me:PLANTED@", 1)
	_, err := newClient(t, endpoint, &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), opts)
	wantError(t, err, tus.ErrPaused)
	rec := records(t, store)[0]
	encoded, err := storage.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(rec.UploadURL, "?signature=QUERY") || bytes.Contains(encoded, []byte(planted)) {
		t.Errorf("record is %s", encoded)
	}
}

func TestForeignLocation_GetsDataNotCredentials(t *testing.T) {
	home, away := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	home.Inject(tustest.Fault{Method: "POST", Action: faults.Redirect(307, away.HTTP.URL)})
	opts := whole()
	opts.Metadata = tus.Metadata{"filename": "secret plans"}
	data := randomBytes(3000)
	res, err := newClient(t, home.Endpoint(), secretOptions()).Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, away.Handler, res.URL, data)
	if up, _ := away.Upload(res.URL); up.Metadata != tus.FormatMetadata(opts.Metadata) {
		t.Errorf("metadata is %q", up.Metadata)
	}
	for _, r := range away.Requests() {
		wantNoSecrets(t, r)
	}
}

func TestNoCookieIsTakenFromAServer(t *testing.T) {
	// Only a jar in the client of the caller keeps cookies.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		w.Header().Set("Set-Cookie", "track=me; Path=/")
		h.Serve(w, r)
	}})
	if _, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
		t.Fatal(err)
	}
	for _, r := range srv.Requests() {
		if got := r.Header.Get("Cookie"); got != "" {
			t.Errorf("%s sends Cookie %q", r.Method, got)
		}
	}
}
