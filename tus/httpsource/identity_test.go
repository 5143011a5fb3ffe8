package httpsource_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// shelf serves one content for each path and query, with one size and time for all
// and no ETag.
func shelf(t *testing.T, contents map[string][]byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", longAgo, bytes.NewReader(contents[r.URL.RequestURI()]))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// interrupted is an upload of one source that stops halfway, and then one of another
// with the same store.
func interrupted(t *testing.T, first, second *httpsource.Source, print fingerprint.Fingerprinter) (*tustest.Server, *tus.Result) {
	t.Helper()
	srv, store := tustest.NewServer(t, nil), new(storage.Memory)
	opts := &tus.UploadOptions{ChunkSize: 500_000, StopAt: 500_000, Checksum: "off"}
	client := newClient(t, srv, &tus.Options{Store: store, Fingerprinter: print})
	_, err := client.Upload(testContext(t), first, opts)
	wantError(t, err, tus.ErrPaused)
	opts.StopAt = 0
	result, err := client.Upload(testContext(t), second, opts)
	if err != nil {
		t.Fatal(err)
	}
	return srv, result
}

func TestUpload_URLsOfSameNameDiffer(t *testing.T) {
	for name, urls := range map[string][2]string{
		"query":     {"/download?id=1", "/download?id=2"},
		"directory": {"/1/data.bin", "/2/data.bin"},
		"escape":    {"/a%2Fb/data.bin", "/a/b/data.bin"},
	} {
		t.Run(name, func(t *testing.T) {
			contents := map[string][]byte{
				urls[0]: bytes.Repeat([]byte("a"), 1_000_000),
				urls[1]: bytes.Repeat([]byte("b"), 1_000_000),
			}
			base := shelf(t, contents)
			srv, result := interrupted(t, newSource(t, base+urls[0], nil), newSource(t, base+urls[1], nil), fingerprint.Stat{})
			wantStored(t, srv, result.URL, contents[urls[1]])
			if result.Stats.ResumedFrom != 0 {
				t.Errorf("resumed from %d", result.Stats.ResumedFrom)
			}
		})
	}
}

// A signature changes the URL and not the data. Only a fingerprint of the whole content is
// then the same.
func TestIdentity_ReplacesChangingURL(t *testing.T) {
	for name, test := range map[string]struct {
		print    fingerprint.Fingerprinter
		identity string
		resumes  bool
	}{
		"Stat, the URL":         {print: fingerprint.Stat{}},
		"Stat, an identity":     {print: fingerprint.Stat{}, identity: "film 7", resumes: true},
		"Sample, the URL":       {print: fingerprint.Sample{}},
		"Content, the URL":      {print: fingerprint.Content{}, resumes: true},
		"the default, the URL":  {},
		"the default, identity": {identity: "film 7", resumes: true},
	} {
		t.Run(name, func(t *testing.T) {
			data := randomBytes(1_000_000)
			base := shelf(t, map[string][]byte{"/one?signature=1": data, "/two?signature=2": data})
			opts := &httpsource.Options{Identity: test.identity}
			srv, result := interrupted(t,
				newSource(t, base+"/one?signature=1", opts),
				newSource(t, base+"/two?signature=2", opts), test.print)
			wantStored(t, srv, result.URL, data)
			if resumed := result.Stats.ResumedFrom == 500_000; resumed != test.resumes {
				t.Errorf("resumed from %d", result.Stats.ResumedFrom)
			}
		})
	}
}

// The identity is part of fingerprints, which are stored: it does not depend on the
// spelling of the URL, and has no secrets.
func TestIdentity_DefaultIsURLWithoutSecrets(t *testing.T) {
	served := newSite(randomBytes(10))
	base := served.start(t)
	addr := strings.TrimPrefix(strings.TrimSuffix(base, "/data.bin"), "http://")
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer transport.CloseIdleConnections()
	for url, want := range map[string]string{
		"http://example.org/data.bin":                    "http://example.org/data.bin",
		" HTTP://EXAMPLE.org:80/data.bin":                "http://example.org/data.bin",
		"http://user:password@example.org/data.bin#part": "http://example.org/data.bin",
		"http://example.org":                             "http://example.org/",
		"http://example.org/?":                           "http://example.org/",
		"http://example.org?token=secret":                "http://example.org/?1359227d95e1ba804467fce441aeb48f",
		"http://example.org:8080/a%2fb":                  "http://example.org:8080/a%2fb",
		"http://[::1]:80/data.bin":                       "http://[::1]/data.bin",
		"http://[::1]:81/data.bin":                       "http://[::1]:81/data.bin",
	} {
		source := newSource(t, url, &httpsource.Options{HTTPClient: &http.Client{Transport: transport}})
		if got := stat(t, source).Identity; got != want {
			t.Errorf("identity of %s is %s, want %s", url, got, want)
		}
	}
	source := newSource(t, base+"?token=secret", &httpsource.Options{Identity: "film 7"})
	if info := stat(t, source); info.Identity != "film 7" || info.Name != "data.bin" {
		t.Errorf("Stat returns %+v", info)
	}
}
