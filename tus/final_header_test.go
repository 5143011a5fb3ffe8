package tus_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	manyParts = 32
	manySize  = manyParts * 1000
)

// many cuts a source of manySize bytes into manyParts.
func many() *tus.UploadOptions {
	return &tus.UploadOptions{Parallel: manyParts, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}, ChunkSize: 500}
}

// atBoundaries cuts the same parts by PartBoundaries.
func atBoundaries() *tus.UploadOptions {
	opts := many()
	for i := int64(1); i < manyParts; i++ {
		opts.ParallelOptions.PartBoundaries = append(opts.ParallelOptions.PartBoundaries, 1000*i)
	}
	return opts
}

// longURLs starts a server whose upload URLs have more than length characters.
func longURLs(t testing.TB, length int, absolute bool) *tustest.Server {
	t.Helper()
	return tustest.NewServer(t, &tustest.Options{
		BasePath: "/" + strings.Repeat("f", length) + "/", AbsoluteLocation: absolute,
		Extensions: tustest.Without("concatenation-unfinished"),
	})
}

// concatLine returns the length of the Upload-Concat line, as a proxy counts it.
func concatLine(header http.Header) int {
	return len("Upload-Concat: " + header.Get("Upload-Concat") + "\r\n")
}

// refusingLines refuses requests whose Upload-Concat line is longer than limit.
func refusingLines(limit int) tustest.Fault {
	return tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if concatLine(r.Header) > limit {
			tustest.Respond(400, "<title>400 Request Header Or Cookie Too Large</title>", "Content-Type", "text/html")(w, r, h)
			return
		}
		h.Serve(w, r)
	}}
}

// finalNames returns the parts in the last request for a final upload.
func finalNames(h *tustest.Handler) (names []string) {
	for _, r := range h.Requests() {
		if list, ok := strings.CutPrefix(r.Header.Get("Upload-Concat"), "final;"); ok {
			names = strings.Fields(list)
		}
	}
	return names
}

func TestConcatHeader_LongURLsMakeFewerParts(t *testing.T) {
	data := randomBytes(manySize)
	for name, absolute := range map[string]bool{"relative Location": false, "absolute Location": true} {
		for _, test := range []struct {
			length int
			limit  int64
			least  int // parts
			most   int
		}{
			{100, 0, manyParts, manyParts}, {400, 0, 16, 18}, {3000, 0, 2, 2}, {100, 1 << 10, 6, 8}, {400, 64 << 10, manyParts, manyParts},
		} {
			srv := longURLs(t, test.length, absolute)
			limit := 8 << 10
			if test.limit > 0 {
				limit = int(test.limit)
			}
			srv.Inject(refusingLines(limit))
			opts := many()
			opts.ParallelOptions.MaxConcatHeader = test.limit
			u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			for !u.State().Final() {
				if err := u.Step(testContext(t)); err != nil {
					t.Fatalf("%s, %d characters: %v", name, test.length, err)
				}
			}
			wantOneFinal(t, srv.Handler, u.URL(), data)
			if n := len(partials(srv.Handler)); n < test.least || n > test.most || n != len(finalNames(srv.Handler)) {
				t.Errorf("%s, %d characters: %d parts", name, test.length, n)
			}
			if n := finalRequests(srv.Handler); n != 1 || bytesReceived(srv) != manySize {
				t.Errorf("%s, %d characters: %d requests for the final upload, %d bytes received", name, test.length, n, bytesReceived(srv))
			}
		}
	}
}

func TestConcatHeader_LaterSessionKeepsParts(t *testing.T) {
	data := randomBytes(manySize)
	for name, stop := range map[string]tustest.Fault{
		"first creation":  {Method: "POST"},
		"second creation": {Method: "POST", Skip: 1},
		"bytes":           {Method: "PATCH", Skip: 20},
	} {
		srv, store := longURLs(t, 400, false), &storage.Memory{}
		ctx, cancel := context.WithCancel(testContext(t))
		stop.Action = func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Serve(w, r)
			cancel()
		}
		srv.Inject(stop)
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), many())
		wantError(t, err, context.Canceled)
		srv.Inject(refusingLines(8 << 10))
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), many())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if n := finalRequests(srv.Handler); n != 1 {
			t.Errorf("%s: %d requests for the final upload", name, n)
		}
		wantNothingKept(t, store)
	}
}

func TestConcatHeader_OversizedPartsSendNothing(t *testing.T) {
	data := randomBytes(manySize)
	for name, test := range map[string]struct {
		length int
		opts   *tus.UploadOptions
	}{
		"boundaries": {400, atBoundaries()}, "URLs too long for two": {5000, many()},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := longURLs(t, test.length, false), &storage.Memory{}
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true})
			opts := *test.opts
			opts.ParallelOptions.Required = true
			_, err := client.Upload(testContext(t), tus.Bytes(data), &opts)
			wantError(t, err, tus.ErrInvalidInput)
			if !strings.Contains(err.Error(), "ParallelOptions.MaxConcatHeader is 8000") || tus.IsRetryable(err) {
				t.Errorf("error is %v", err)
			}
			for _, u := range partials(srv.Handler) {
				if !u.Terminated {
					t.Errorf("part %s is left", u.ID)
				}
			}
			if bytesReceived(srv) != 0 || finalRequests(srv.Handler) != 0 {
				t.Errorf("%d bytes were sent", bytesReceived(srv))
			}
			wantNothingKept(t, store)

			opts.ParallelOptions.MaxConcatHeader = 1 << 20
			res, err := client.Upload(testContext(t), tus.Bytes(data), &opts)
			if err != nil {
				t.Fatalf("with a higher limit: %v", err)
			}
			wantOneFinal(t, srv.Handler, res.URL, data)

			res, err = client.Upload(testContext(t), tus.Bytes(data), test.opts)
			if err != nil {
				t.Fatalf("not required: %v", err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if n := len(finals(srv.Handler)); n != 1 { // the earlier one
				t.Errorf("not required: %d final uploads", n)
			}
			wantNothingKept(t, store)
		})
	}
}

func TestConcatHeader_OversizedStoredPartsSendNothing(t *testing.T) {
	data := randomBytes(manySize)
	srv, store := longURLs(t, 400, false), &storage.Memory{}
	wide := many()
	wide.ParallelOptions.MaxConcatHeader = 64 << 10
	canceledAt(t, srv, &tus.Options{Store: store}, data, wide, tustest.Fault{Method: "PATCH", Skip: 20})

	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), many())
	wantError(t, err, tus.ErrInvalidInput)
	if !strings.Contains(err.Error(), "ParallelOptions.MaxConcatHeader") || !strings.Contains(err.Error(), "stored upload") {
		t.Errorf("error is %v", err)
	}
	if res.Stats.Sent != 0 || res.Stats.Requests["PATCH"]+res.Stats.Requests["POST"] != 0 {
		t.Errorf("stats are %+v", res.Stats)
	}

	res, err = newClient(t, srv.Endpoint(), &tus.Options{Store: store, Retry: retryOften()}).Upload(testContext(t), tus.Bytes(data), wide)
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
	if res.Stats.ResumedFrom == 0 || len(partials(srv.Handler)) != manyParts {
		t.Errorf("stats are %+v", res.Stats)
	}
}

func TestConcatHeader_RefusalNamesOptions(t *testing.T) {
	data := randomBytes(manySize)
	for _, status := range []int{400, 413, 414, 431} {
		srv, store := longURLs(t, 400, false), &storage.Memory{}
		refused := make([]tustest.Action, 20)
		for i := range refused {
			refused[i] = tustest.Respond(status, "too much")
		}
		onFinal(srv, refused...)
		wide := many()
		wide.ParallelOptions.MaxConcatHeader = 64 << 10
		_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), wide)
		wantError(t, err, tus.ErrUnconfirmed)
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != status || tus.IsRetryable(err) || errors.Is(err, tus.ErrTooLarge) != (status == 413) {
			t.Errorf("%d: error is %v", status, err)
		}
		for _, part := range []string{"32 parts", "too much", "fewer parts", "UploadOptions.Parallel, or MinPartSize or MaxConcatHeader of ParallelOptions"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%d: error is %v, without %q", status, err, part)
			}
		}
		names := finalNames(srv.Handler)
		if byPath, n := strings.HasPrefix(names[0], "/"), finalRequests(srv.Handler); status == 400 && (byPath || n != 2) || status != 400 && (!byPath || n != 1) {
			t.Errorf("%d: %d requests for the final upload, the last one of %s", status, n, names[0])
		}

		var urls []string
		for _, u := range partials(srv.Handler) {
			urls = append(urls, srv.Endpoint()+u.ID)
		}
		byHand := newClient(t, srv.Endpoint(), nil)
		_, err = byHand.Concatenate(testContext(t), urls, nil)
		if err == nil || !strings.Contains(err.Error(), "fewer parts") {
			t.Errorf("%d: error of Concatenate is %v", status, err)
		}
		_, err = byHand.Concatenate(testContext(t), urls[:2], nil)
		if err == nil || strings.Contains(err.Error(), "fewer parts") {
			t.Errorf("%d: error of Concatenate of two parts is %v", status, err)
		}

		// The server has all bytes, so a later session tries whatever its limit is.
		for range len(refused) - finalRequests(srv.Handler) {
			_, _ = byHand.Concatenate(testContext(t), urls[:2], nil)
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), many())
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if res.Stats.Sent != 0 {
			t.Errorf("%d: later session sent %d bytes", status, res.Stats.Sent)
		}
	}
}

func TestFinal_PartsAreNamedByPathInTheOrigin(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, absolute := range map[string]bool{"relative Location": false, "absolute Location": true} {
		srv := longURLs(t, 5, absolute)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		for _, part := range finalNames(srv.Handler) {
			if !strings.HasPrefix(part, "/fffff/") {
				t.Errorf("%s: part is named %s", name, part)
			}
		}
	}
}

func TestFinal_PartsOfAnotherOriginAreNamedByURL(t *testing.T) {
	srv, data := finalLast(t), randomBytes(unequalSize)
	other := httptest.NewServer(srv.Handler)
	defer other.Close()
	srv.Inject(tustest.Fault{Method: "POST", Times: 4, Action: locationAt(other.URL)})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), unequal())
	if err != nil {
		t.Fatal(err)
	}
	wantOneFinal(t, srv.Handler, res.URL, data)
	for _, part := range finalNames(srv.Handler) {
		if !strings.HasPrefix(part, other.URL) {
			t.Errorf("part is named %s", part)
		}
	}
}

func TestFinal_PartsBelowTwoSlashesAreNamedByURL(t *testing.T) {
	// As a path, "//files/1" would be the upload "/1" of the host "files".
	h, data := tustest.NewHandler(&tustest.Options{Extensions: tustest.Without("concatenation-unfinished")}), randomBytes(unequalSize)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/")
		if concat := r.Header.Get("Upload-Concat"); concat != "" {
			r.Header.Set("Upload-Concat", strings.ReplaceAll(concat, r.Host+"//", r.Host+"/"))
		}
		h.ServeHTTP(&movingWriter{ResponseWriter: w, origin: "http://" + r.Host + "/"}, r)
	}))
	defer front.Close()
	client := newClient(t, front.URL+"//files/", nil)
	if _, err := client.Upload(testContext(t), tus.Bytes(data), unequal()); err != nil {
		t.Fatal(err)
	}
	if n := finalRequests(h); n != 1 || len(finals(h)) != 1 {
		t.Errorf("%d requests for the final upload, %d created", n, len(finals(h)))
	}
}

func TestFinal_RefusedPathsBecomeURLsForTheClient(t *testing.T) {
	srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;/") {
			tustest.Respond(422, "not a URL")(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	for i, want := range []int{2, 3} { // the second upload sends one request
		data[0]++
		res, err := client.Upload(testContext(t), tus.Bytes(data), unequal())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if n := finalRequests(srv.Handler); n != want || len(finals(srv.Handler)) != i+1 {
			t.Errorf("upload %d: %d requests for final uploads, want %d", i, n, want)
		}
		if res.Stats.Resent != 0 {
			t.Errorf("upload %d: stats are %+v", i, res.Stats)
		}
	}
	wantNothingKept(t, store)
}

// If the parts are dropped, the upload in their place is not a final upload.
func TestConcatHeader_DroppedPartsLeaveNoRecord(t *testing.T) {
	data, store := randomBytes(manySize), &storage.Memory{}
	srv := longURLs(t, 400, false)
	opts := atBoundaries()
	opts.ParallelOptions.MaxConcatHeader = 1 << 10
	canceledAt(t, srv, &tus.Options{Store: store}, data, opts, tustest.Fault{Method: "PATCH", Skip: 2})
	for _, rec := range records(t, store) {
		if len(rec.Parts) > 0 {
			t.Errorf("%d parts are stored of %s", len(rec.Parts), rec.UploadURL)
		}
	}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.Stats.ResumedFrom == 0 {
		t.Errorf("stats are %+v", res.Stats)
	}
	wantStored(t, srv.Handler, res.URL, data)
}
