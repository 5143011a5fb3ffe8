package tus_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// withSecrets moves the header of secretOptions to an upload.
func withSecrets(client *tus.Options, upload tus.UploadOptions) *tus.UploadOptions {
	upload.Header, client.Header = client.Header, nil
	return &upload
}

func TestUploadHeader_InvalidSendsNoRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: new(storage.Memory)})
	for name, header := range invalidHeaders() {
		t.Run(name, func(t *testing.T) {
			opts := &tus.UploadOptions{Header: header}
			_, uploading := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), opts)
			_, resuming := client.Resume(testContext(t), srv.Endpoint()+"1", tus.Bytes(randomBytes(10)), opts)
			_, listing := client.PreviousUploads(testContext(t), tus.Bytes(randomBytes(10)), opts)
			for _, err := range []error{uploading, resuming, listing} {
				wantError(t, err, tus.ErrInvalidInput)
				if text := err.Error(); strings.Contains(text, planted) || strings.ContainsAny(text, "\r\n\x00") || !strings.Contains(text, "UploadOptions.Header") {
					t.Errorf("error is %q", text)
				}
			}
		})
	}
	wantMethods(t, srv.Handler)
}

func TestUploadHeader_ReplacesFieldsOfClient(t *testing.T) {
	for way, opts := range map[string]tus.UploadOptions{
		"creation with upload": {},
		"chunked":              {ChunkSize: 1000},
		"parallel":             {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000, TerminateParts: true}},
	} {
		t.Run(way, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			client := newClient(t, srv.Endpoint(), &tus.Options{Header: http.Header{
				"Authorization": {"Bearer client"}, "X-Kept": {"client"}, "X-Removed": {"client"}}})
			srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(100)}) // makes the client send HEAD
			data := randomBytes(3000)
			opts.Header = http.Header{"authorization": {"Bearer upload"}, "x-removed": nil, "X-New": {"1", "2"}}
			res, err := client.Upload(testContext(t), tus.Bytes(data), &opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			known := srv.Requests()
			for _, r := range known {
				if h := r.Header; !slices.Equal(h.Values("Authorization"), []string{"Bearer upload"}) || h.Get("X-Kept") != "client" ||
					h.Get("X-Removed") != "" || !slices.Equal(h.Values("X-New"), []string{"1", "2"}) {
					t.Errorf("%s %s has %v", r.Method, r.Path, h)
				}
			}
			// The next upload has the fields of the client only.
			if _, err := client.Upload(testContext(t), tus.Bytes(data), chunked()); err != nil {
				t.Fatal(err)
			}
			for _, r := range srv.Requests()[len(known):] {
				if h := r.Header; h.Get("Authorization") != "Bearer client" || h.Get("X-Removed") != "client" || h.Get("X-New") != "" {
					t.Errorf("%s %s has %v", r.Method, r.Path, h)
				}
			}
		})
	}
}

func TestUploadHeader_AbortHasIt(t *testing.T) {
	for way, opts := range map[string]tus.UploadOptions{
		"single":   {StopAt: 1000, ChunkSize: 1000},
		"parallel": {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}},
	} {
		t.Run(way, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Times: -1, Action: tustest.Respond(403, "")})
			opts.Header = http.Header{"X-Api-Key": {"upload"}}
			u, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retryOften()}).NewUploader(tus.Bytes(randomBytes(3000)), &opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := u.Run(testContext(t)); err == nil {
				t.Fatal("upload succeeded")
			}
			if err := u.Abort(testContext(t)); err != nil {
				t.Fatal(err)
			}
			for _, r := range srv.Requests() {
				if r.Header.Get("X-Api-Key") != "upload" {
					t.Errorf("%s %s has %v", r.Method, r.Path, r.Header)
				}
			}
			if n := srv.Count("DELETE"); n == 0 {
				t.Error("nothing was deleted")
			}
		})
	}
}

func TestUploadHeader_OnlyToTrustedOrigins(t *testing.T) {
	data := randomBytes(3000)
	for name, test := range map[string]struct {
		action  func(away string) tustest.Action
		trusted bool
	}{
		"Location":         {func(away string) tustest.Action { return tustest.SetHeader("Location", away+"/files/00000001") }, false},
		"trusted Location": {func(away string) tustest.Action { return tustest.SetHeader("Location", away+"/files/00000001") }, true},
		"redirect":         {func(away string) tustest.Action { return faults.Redirect(307, away) }, false},
		"trusted redirect": {func(away string) tustest.Action { return faults.Redirect(307, away) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			home, away := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
			home.Inject(tustest.Fault{Method: "POST", Action: test.action(away.HTTP.URL)})
			target := uploadOn(t, away, data)
			known := len(away.Requests())
			client := secretOptions()
			opts := withSecrets(client, *chunked())
			if test.trusted {
				client.TrustedOrigins = []string{away.HTTP.URL}
			}
			res, err := newClient(t, home.Endpoint(), client).Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, away.Handler, res.URL, data)
			if strings.HasSuffix(name, "Location") && res.URL != target {
				t.Errorf("upload URL is %s", res.URL)
			}
			for _, r := range home.Requests() {
				wantSecrets(t, r)
			}
			for _, r := range away.Requests()[known:] {
				if test.trusted {
					wantSecrets(t, r)
				} else {
					wantNoSecrets(t, r)
				}
			}
		})
	}
}

func TestUploadHeader_NotToForeignUploadURL(t *testing.T) {
	home, foreign := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	data := randomBytes(3000)
	target := uploadOn(t, foreign, data)
	known := len(foreign.Requests())
	client := secretOptions()
	opts := withSecrets(client, *chunked())
	if _, err := newClient(t, home.Endpoint(), client).Resume(testContext(t), target, tus.Bytes(data), opts); err != nil {
		t.Fatal(err)
	}
	wantStored(t, foreign.Handler, target, data)
	for _, r := range foreign.Requests()[known:] {
		wantNoSecrets(t, r)
	}
}

// The header is not stored: another process needs the same options.
func TestUploadHeader_ResumedByAnotherClient(t *testing.T) {
	for way, opts := range map[string]tus.UploadOptions{
		"chunked":  {ChunkSize: 1000},
		"parallel": {ChunkSize: 1000, Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 3000}},
	} {
		t.Run(way, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), new(storage.Memory)
			data := randomBytes(9000)
			client := secretOptions()
			client.Store = store
			canceledAt(t, srv, client, data, withSecrets(client, opts), tustest.Fault{Method: "PATCH", Skip: 4})
			for _, rec := range records(t, store) {
				if encoded, err := storage.Encode(rec); err != nil || bytes.Contains(encoded, []byte(planted)) {
					t.Errorf("record is %s, %v", encoded, err)
				}
			}
			opts.Header = http.Header{"X-Api-Key": {"another"}}
			var sent []http.Header // requests that were canceled may still arrive at the server
			opts.Hooks.BeforeRequest = func(r *http.Request) error {
				sent = append(sent, r.Header.Clone())
				return nil
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), &opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.Stats.ResumedFrom == 0 {
				t.Error("upload was not resumed")
			}
			for _, h := range sent {
				wantNoSecrets(t, tustest.Request{Header: without(h, "X-Api-Key")})
				if h.Get("X-Api-Key") != "another" {
					t.Errorf("a request has X-Api-Key %q", h.Get("X-Api-Key"))
				}
			}
		})
	}
}

func without(h http.Header, name string) http.Header {
	rest := h.Clone()
	rest.Del(name)
	return rest
}

func TestUploadHeader_ShowsInNoErrorOrLog(t *testing.T) {
	inURL := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		tustest.SetHeader("Location", "/files/00000001/"+r.Header.Get("X-Api-Key"))(w, r, h)
	}
	for name, injected := range map[string][]tustest.Fault{
		"POST refused":    {{Method: "POST", Times: -1, Action: echo(403)}},
		"PATCH refused":   {{Method: "PATCH", Times: -1, Action: echo(400)}},
		"PATCH fails":     {{Method: "PATCH", Times: -1, Action: echo(502)}},
		"HEAD refused":    {{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Times: -1, Action: echo(403)}},
		"in the URL":      {{Method: "POST", Action: inURL}, {Method: "PATCH", Times: -1, Action: echo(403)}},
		"in a given URL":  {{Method: "HEAD", Times: -1, Action: tustest.CutBefore()}},
		"in a part's URL": {{Method: "POST", Times: -1, Action: inURL}, {Method: "PATCH", Times: -1, Action: echo(403)}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(injected...)
			var log bytes.Buffer
			client := secretOptions()
			client.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			opts := withSecrets(client, *chunked())
			if strings.Contains(name, "part") {
				opts.Parallel, opts.ParallelOptions.MinPartSize = 3, 1000
			}
			var texts []string
			opts.Hooks = tus.Hooks{
				OnRetry: func(_ *tus.Uploader, r tus.Retry) { texts = append(texts, fmt.Sprintf("%+v %#v", r, r.Err)) },
				OnStateChange: func(_ *tus.Uploader, _, _ tus.State, err error) {
					texts = append(texts, fmt.Sprintf("%+v %#v", err, err))
				},
			}
			resume := ""
			if strings.Contains(name, "given") {
				resume = srv.Endpoint() + planted + "-api-key"
			}
			u, err := prepare(newClient(t, srv.Endpoint(), client), resume, tus.Bytes(randomBytes(3000)), opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(testContext(t))
			if err == nil {
				t.Fatal("upload succeeded")
			}
			for _, text := range append(texts, log.String(), fmt.Sprintf("%v %+v %#v", err, err, err)) {
				if strings.Contains(text, planted) {
					t.Errorf("secret shows in %s", text)
				}
			}
			if !strings.Contains(log.String(), "tus state") {
				t.Errorf("log is %s", log.String())
			}
		})
	}
}

func TestUploadHeader_IsCopied(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	header := http.Header{"X-Key": {"one"}}
	opts := whole()
	opts.Header = header
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(randomBytes(10)), opts)
	if err != nil {
		t.Fatal(err)
	}
	header["X-Key"][0] = "changed"
	header.Set("X-Other", "added")
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, r := range srv.Requests() {
		if r.Header.Get("X-Key") != "one" || r.Header.Get("X-Other") != "" {
			t.Errorf("%s has %v", r.Method, r.Header)
		}
	}
}

// Uploads at the same time do not see the header of each other.
func TestUploadHeader_ConcurrentUploadsKeepTheirOwn(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Header: http.Header{"X-Tenant": {"none"}}, Capabilities: &tus.Capabilities{}})
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			tenant := fmt.Sprintf("tenant-%d", i)
			opts := chunked()
			opts.Header, opts.Metadata = http.Header{"X-Tenant": {tenant}}, tus.Metadata{"tenant": tenant}
			res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), opts)
			if err != nil {
				t.Error(err)
				return
			}
			for _, r := range srv.Requests() {
				if strings.HasSuffix(res.URL, r.Path) && r.Header.Get("X-Tenant") != tenant {
					t.Errorf("%s %s of %s has %q", r.Method, r.Path, tenant, r.Header.Get("X-Tenant"))
				}
			}
		})
	}
	running.Wait()
}
