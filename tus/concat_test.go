package tus_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestConcatenate_PartialUploads(t *testing.T) {
	srv, data := finalLast(t), randomBytes(3000)
	seen := map[string]string{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{
		OnCreated: func(_ *tus.Uploader, c *tus.Created) { seen[c.URL] = c.Concat },
	}})
	ctx := testContext(t)
	var urls []string
	for _, size := range []int64{2000, 1000} {
		part, err := client.Create(ctx, tus.CreateOptions{Size: size, Partial: true, Metadata: tus.Metadata{"n": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		if part.Response == nil || part.Response.StatusCode != 201 || seen[part.URL] != "partial" {
			t.Errorf("part is %+v, OnCreated got %v", part, seen[part.URL])
		}
		urls = append(urls, part.URL)
	}
	wantUploadHeaders(t, srv.Requests()[0], "POST", http.Header{
		"Upload-Concat": {"partial"}, "Upload-Length": {"2000"}, "Upload-Metadata": {"n eA=="},
	})
	for i, piece := range [][]byte{data[:2000], data[2000:]} {
		if _, err := client.Resume(ctx, urls[i], tus.Bytes(piece), chunked()); err != nil {
			t.Fatal(err)
		}
	}
	final, err := client.Concatenate(ctx, urls, tus.Metadata{"filename": "both"})
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, final.URL, data)
	requests := srv.Requests()
	wantUploadHeaders(t, requests[len(requests)-1], "POST", http.Header{
		"Upload-Concat": {"final;" + urls[0] + " " + urls[1]}, "Upload-Metadata": {"filename Ym90aA=="},
	})
	if seen[final.URL] != "final" || srv.Count("OPTIONS") != 0 {
		t.Errorf("OnCreated got %v for the final upload, after %d OPTIONS", seen[final.URL], srv.Count("OPTIONS"))
	}
	info, err := client.Info(ctx, final.URL)
	if err != nil || !info.Complete() || info.Concat != "final" || info.Response.Header.Get("Upload-Concat") != "final;"+strings.Join(urls, " ") || info.Metadata["filename"] != "both" {
		t.Errorf("info is %+v, %v", info, err)
	}
	if info, err := client.Info(ctx, urls[0]); err != nil || info.Concat != "partial" || info.Length != 2000 {
		t.Errorf("info of a part is %+v, %v", info, err)
	}

	// The order of the URLs is the order of the bytes.
	slices.Reverse(urls)
	final, err = client.Concatenate(ctx, urls, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, final.URL, append(slices.Clone(data[2000:]), data[:2000]...))
}

func TestCreate_EmptyPartialUpload(t *testing.T) {
	srv := finalLast(t)
	client := newClient(t, srv.Endpoint(), nil)
	empty, err := client.Create(testContext(t), tus.CreateOptions{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	final, err := client.Concatenate(testContext(t), []string{empty.URL, empty.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, final.URL, nil)
}

func TestCreate_DeferredLengthIsResumed(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(3000)
	client := newClient(t, srv.Endpoint(), nil)
	ctx := testContext(t)
	sources := map[string]tus.Source{
		"known size": tus.Bytes(data), "stream": tus.Reader(bytes.NewReader(data)),
		"stream of one chunk": tus.Reader(bytes.NewReader(data[:700])), "empty stream": tus.Reader(bytes.NewReader(nil)),
		"empty": tus.Bytes(nil),
	}
	for name, source := range sources {
		before := len(srv.Requests())
		created, err := client.Create(ctx, tus.CreateOptions{DeferLength: true, Metadata: tus.Metadata{"a": ""}})
		if err != nil {
			t.Fatal(err)
		}
		wantUploadHeaders(t, srv.Requests()[before], "POST", http.Header{"Upload-Defer-Length": {"1"}, "Upload-Metadata": {"a"}})
		if info, err := client.Info(ctx, created.URL); err != nil || !info.LengthDeferred || info.Complete() {
			t.Errorf("info is %+v, %v", info, err)
		}
		res, err := client.Resume(ctx, created.URL, source, chunked())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, created.URL, data[:res.Size])
		if want := map[string]int64{"stream of one chunk": 700, "empty stream": 0, "empty": 0}; res.Size != 3000 && res.Size != want[name] {
			t.Errorf("%s: size is %d", name, res.Size)
		}
	}
	if n := srv.Count("OPTIONS"); n != 0 {
		t.Errorf("%d OPTIONS", n)
	}
}

func TestCreate_SendsSizeAndMetadata(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	created, err := client.Create(testContext(t), tus.CreateOptions{Size: 7, Metadata: tus.Metadata{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	wantMethods(t, srv.Handler, "POST")
	wantUploadHeaders(t, srv.Requests()[0], "POST", http.Header{"Upload-Length": {"7"}, "Upload-Metadata": {"a Yg=="}})
	if _, err := client.Resume(testContext(t), created.URL, tus.Bytes([]byte("content")), nil); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, created.URL, []byte("content"))
}

func TestCreate_EmptyUploadWithoutLocationIsComplete(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "")})
	client := newClient(t, srv.Endpoint(), nil)
	if created, err := client.Create(testContext(t), tus.CreateOptions{}); err != nil || created.URL != "" || created.Response.StatusCode != 201 {
		t.Errorf("%+v, %v", created, err)
	}
	_, err := client.Create(testContext(t), tus.CreateOptions{Size: 1})
	wantError(t, err, tus.ErrProtocol)
}

func TestCreateAndConcatenate_InvalidArguments(t *testing.T) {
	srv := finalLast(t)
	client := newClient(t, srv.Endpoint(), nil)
	ctx := testContext(t)
	good := srv.Endpoint() + "1"
	bad := tus.Metadata{"a b": ""}
	calls := map[string]func() (*tus.Created, error){
		"negative size": func() (*tus.Created, error) { return client.Create(ctx, tus.CreateOptions{Size: -1, Partial: true}) },
		"bad metadata": func() (*tus.Created, error) {
			return client.Create(ctx, tus.CreateOptions{Size: 1, Partial: true, Metadata: bad})
		},
		"no parts":          func() (*tus.Created, error) { return client.Concatenate(ctx, nil, nil) },
		"empty URL":         func() (*tus.Created, error) { return client.Concatenate(ctx, []string{good, ""}, nil) },
		"relative URL":      func() (*tus.Created, error) { return client.Concatenate(ctx, []string{"files/1"}, nil) },
		"URL with a space":  func() (*tus.Created, error) { return client.Concatenate(ctx, []string{good + " " + good}, nil) },
		"URL with a break":  func() (*tus.Created, error) { return client.Concatenate(ctx, []string{good + "\r\nX: y"}, nil) },
		"final metadata":    func() (*tus.Created, error) { return client.Concatenate(ctx, []string{good}, bad) },
		"size and deferred": func() (*tus.Created, error) { return client.Create(ctx, tus.CreateOptions{Size: 1, DeferLength: true}) },
		"deferred": func() (*tus.Created, error) {
			return client.Create(ctx, tus.CreateOptions{DeferLength: true, Metadata: bad})
		},
	}
	for name, call := range calls {
		if created, err := call(); !errors.Is(err, tus.ErrInvalidInput) || created != nil {
			t.Errorf("%s: %v, %v", name, created, err)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestConcatenate_RepeatedOnlyIfNotCreated(t *testing.T) {
	tests := map[string]struct {
		action   tustest.Action
		requests int
		want     error // nil for success
	}{
		"503":                      {tustest.Respond(503, ""), 2, nil},
		"429":                      {tustest.Respond(429, ""), 2, nil},
		"423":                      {tustest.Respond(423, ""), 2, nil},
		"409":                      {tustest.Respond(409, ""), 2, nil},
		"403":                      {tustest.Respond(403, ""), 1, tus.ErrUnauthorized},
		"response lost":            {tustest.LoseResponse(), 1, tus.ErrUnconfirmed},
		"cut":                      {tustest.CutBefore(), 1, tus.ErrUnconfirmed},
		"500":                      {tustest.Respond(500, ""), 1, tus.ErrUnconfirmed},
		"502 after creation":       {faults.SetStatus(502), 1, tus.ErrUnconfirmed},
		"part is gone":             {forgettingParts(1), 1, nil},
		"created without Location": {tustest.SetHeader("Location", ""), 1, tus.ErrProtocol},
	}
	for name, test := range tests {
		srv := finalLast(t)
		client := newClient(t, srv.Endpoint(), nil)
		ctx := testContext(t)
		part, err := client.Create(ctx, tus.CreateOptions{Partial: true})
		if err != nil {
			t.Fatal(err)
		}
		onFinal(srv, test.action)
		created, err := client.Concatenate(ctx, []string{part.URL}, nil)
		if name == "part is gone" {
			var e *tus.Error
			if !errors.As(err, &e) || e.StatusCode != 400 || errors.Is(err, tus.ErrUnconfirmed) {
				t.Errorf("%s: error is %v", name, err)
			}
		} else if !errors.Is(err, test.want) || (err == nil) != (created != nil) {
			t.Errorf("%s: %v, %v", name, created, err)
		}
		if n := finalRequests(srv.Handler); n != test.requests || len(finals(srv.Handler)) > 1 {
			t.Errorf("%s: %d requests, %d finals", name, n, len(finals(srv.Handler)))
		}
	}
}

func TestConcatenate_EndedContextIsUnconfirmed(t *testing.T) {
	srv := finalLast(t)
	client := newClient(t, srv.Endpoint(), nil)
	part, err := client.Create(testContext(t), tus.CreateOptions{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	onFinal(srv, func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		h.Serve(httptest.NewRecorder(), r)
		cancel()
		tustest.Stall()(w, r, h)
	})
	_, err = client.Concatenate(ctx, []string{part.URL}, nil)
	wantError(t, err, context.Canceled)
	wantError(t, err, tus.ErrUnconfirmed)
	if len(finals(srv.Handler)) != 1 {
		t.Errorf("%d finals", len(finals(srv.Handler)))
	}
}

func TestCreate_IsRetried(t *testing.T) {
	for name, action := range map[string]tustest.Action{"503": tustest.Respond(503, ""), "response lost": tustest.LoseResponse(), "500": tustest.Respond(500, "")} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: 8, Action: action})
		client := newClient(t, srv.Endpoint(), nil)
		if _, err := client.Create(testContext(t), tus.CreateOptions{Size: 1, Partial: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		srv.Inject(tustest.Fault{Method: "POST", Times: 9, Action: action})
		if _, err := client.Create(testContext(t), tus.CreateOptions{DeferLength: true}); err == nil {
			t.Errorf("%s: the ninth failure is retried", name)
		}
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	_, err := newClient(t, "http://tus.test/files/", nil).Concatenate(ctx, []string{"http://tus.test/files/1"}, nil)
	wantError(t, err, context.Canceled)
}

// The bytes of a final upload are sent to its parts, so it cannot be resumed.
func TestResume_UnfinishedFinalUploadIsInvalid(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	var urls []string
	for range 2 {
		part, err := client.Create(testContext(t), tus.CreateOptions{Size: 5, Partial: true})
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, part.URL)
	}
	final, err := client.Concatenate(testContext(t), urls, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Resume(testContext(t), final.URL, tus.Bytes([]byte("0123456789")), nil)
	wantError(t, err, tus.ErrInvalidInput)
	if !strings.Contains(err.Error(), "final upload") || srv.Count("PATCH") != 0 {
		t.Errorf("after %d PATCH: %v", srv.Count("PATCH"), err)
	}
}
