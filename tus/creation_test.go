package tus_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A 409 to a creation is permanent: the name exists.
func TestCreate_ExistsEndsAtOnce(t *testing.T) {
	upload := func(opts tus.UploadOptions) func(*tus.Client) error {
		return func(c *tus.Client) error {
			_, err := c.Upload(testContext(t), tus.Bytes(randomBytes(4000)), &opts)
			return err
		}
	}
	ways := map[string]func(*tus.Client) error{
		"creation first": upload(tus.UploadOptions{CreationLimit: -1}),
		"with upload":    upload(tus.UploadOptions{}),
		"parts":          upload(tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 2000}}),
		"deferred":       upload(tus.UploadOptions{DeferLength: true}),
		"stream": func(c *tus.Client) error {
			_, err := c.Upload(testContext(t), tus.Reader(strings.NewReader(strings.Repeat("x", 4000))), chunked())
			return err
		},
		"Create": func(c *tus.Client) error {
			_, err := c.Create(testContext(t), tus.CreateOptions{Size: 10, Partial: true})
			return err
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: faults.RespondAfter(409, "movie.mp4 exists already")})
			err := way(newClient(t, srv.Endpoint(), nil))
			if statusOf(err) != 409 || tus.IsRetryable(err) || !strings.Contains(err.Error(), "movie.mp4 exists already") {
				t.Errorf("error is %v", err)
			}
			if n := srv.Count("POST"); n != 1 && name != "parts" || n > 2 {
				t.Errorf("%d creations", n)
			}
		})
	}
}

// A 409 to the creation of a final upload means that a part is locked.
func TestConcatenate_ConflictIsRetried(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(4000)
	srv.Inject(tustest.Fault{Method: "POST", Skip: 2, Times: 2, Action: faults.RespondAfter(409, "part is locked")})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 2000}})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestCreate_412IsUnsupportedOnlyByVersion(t *testing.T) {
	for versions, isVersion := range map[string]bool{"": false, "1.0.0": false, "1.0.0, 0.2.2": false, "0.2.2": true, "2.0.0, 0.2.2": true} {
		for _, limit := range []int64{0, -1} {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: faults.RespondAfter(412, "directory was changed", "Tus-Version", versions)})
			_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(10)), &tus.UploadOptions{CreationLimit: limit})
			if errors.Is(err, tus.ErrUnsupported) != isVersion || !strings.Contains(err.Error(), "directory was changed") || srv.Count("POST") != 1 {
				t.Errorf("Tus-Version %q: %v", versions, err)
			}
		}
	}
}

// carried returns the body sizes of the creations.
func carried(h *tustest.Handler) (sizes []int64) {
	for _, r := range h.Requests() {
		if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
			sizes = append(sizes, r.Body)
		}
	}
	return sizes
}

func TestCreationLimit_BoundsBody(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		size         int
		limit, chunk int64
		want         int64
	}{
		{mib, 0, 0, mib},
		{mib + 1, 0, 0, 0},
		{3 * mib, 0, 100 * mib, 0},
		{3 * mib, 3 * mib, 0, 3 * mib},
		{3 * mib, 3*mib - 1, 0, 0},
		{3 * mib, 8 * mib, mib, 0},
		{mib, -1, 0, 0},
	} {
		srv, data := tustest.NewServer(t, nil), randomBytes(test.size)
		opts := &tus.UploadOptions{CreationLimit: test.limit, ChunkSize: test.chunk}
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatalf("%+v: %v", test, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if got := carried(srv.Handler); got[0] != test.want || res.Stats.Resent != 0 {
			t.Errorf("%+v: the creation carried %d bytes, %d were resent", test, got[0], res.Stats.Resent)
		}
	}
}

// At 3 MiB per second a creation carries 3 MiB, at 100 KiB per second 1 MiB.
func TestCreationLimit_FollowsTheRate(t *testing.T) {
	const mib = 1 << 20
	for rate, want := range map[int64]int64{3 * mib: 2 * mib, 100 << 10: 0} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			client := newClient(&tus.Options{RateLimit: tus.NewRateLimit(rate)})
			for range 2 {
				res, err := client.Upload(context.Background(), tus.Bytes(randomBytes(2*mib)), nil)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, h, res.URL, randomBytes(2*mib))
			}
			if got := carried(h); got[0] != 0 || got[1] != want {
				t.Errorf("%d bytes in a second: creations carried %v, want %d in the second", rate, got, want)
			}
		})
	}
}

// An interrupted small upload resumes at the offset of the server.
func TestSmallUpload_ResumesAtServerOffset(t *testing.T) {
	const size, arrived = 2 << 20, 1 << 20
	srv, data, store := tustest.NewServer(t, nil), randomBytes(size), &storage.Memory{}
	ctx, stop := context.WithCancel(testContext(t))
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Body = io.NopCloser(io.LimitReader(r.Body, arrived))
		h.Serve(httptest.NewRecorder(), r)
		stop()
		tustest.CutBefore()(w, r, h)
	}})
	path := tempFile(t, data)
	opts := &tus.Options{Store: store}
	if _, err := newClient(t, srv.Endpoint(), opts).UploadFile(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	res, err := newClient(t, srv.Endpoint(), opts).UploadFile(testContext(t), path, nil)
	if err != nil || res.Stats.ResumedFrom != arrived {
		t.Errorf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// slowToExist is a server on which an empty upload exists only after a request with a
// body, even an empty one. HEAD fails before.
type slowToExist struct {
	*tustest.Handler
	before tustest.Action
	exists atomic.Bool
}

func (s *slowToExist) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case carriesBytes(r):
		s.exists.Store(true)
	case r.Method == http.MethodHead && !s.exists.Load():
		s.before(w, r, s.Handler)
		return
	}
	s.Handler.ServeHTTP(w, r)
}

func TestEmptySource_ExistsOnEveryServer(t *testing.T) {
	sources := map[string]func() (tus.Source, *tus.UploadOptions){
		"file":            func() (tus.Source, *tus.UploadOptions) { return tus.File(tempFile(t, nil)), nil },
		"stream":          func() (tus.Source, *tus.UploadOptions) { return tus.Reader(strings.NewReader("")), nil },
		"parallel":        func() (tus.Source, *tus.UploadOptions) { return tus.Bytes(nil), inParts(4) },
		"creation first":  func() (tus.Source, *tus.UploadOptions) { return tus.Bytes(nil), whole() },
		"deferred length": func() (tus.Source, *tus.UploadOptions) { return tus.Bytes(nil), &tus.UploadOptions{DeferLength: true} },
	}
	befores := map[string]tustest.Action{
		"404": goneWith(404), "404 of no tus server": tustest.Respond(404, ""), "500": tustest.Respond(500, ""),
		"no length": tustest.SetHeader("Upload-Length", ""), "no offset": tustest.SetHeader("Upload-Offset", ""),
	}
	for _, extensions := range [][]string{nil, tustest.Without("creation-with-upload")} {
		for name, source := range sources {
			for before, action := range befores {
				h := &slowToExist{Handler: tustest.NewHandler(&tustest.Options{Extensions: extensions}), before: action}
				srv := httptest.NewServer(h)
				from, opts := source()
				client := newClient(t, srv.URL+"/files/", &tus.Options{Store: &storage.Memory{}})
				res, err := client.Upload(testContext(t), from, opts)
				if err != nil {
					t.Fatalf("%s, %s: %v", name, before, err)
				}
				wantStored(t, h.Handler, res.URL, nil)
				if !h.exists.Load() || h.Count("POST") != 1 || h.Count("PATCH") > 1 {
					t.Errorf("%s, %s: exists is %v after %v", name, before, h.exists.Load(), res.Stats.Requests)
				}
				srv.Close()
			}
		}
	}
}

// A refused empty PATCH ends the upload.
func TestEmptySource_RefusalEndsUpload(t *testing.T) {
	for name, faults := range map[string][]tustest.Fault{
		"HEAD":  {{Method: "HEAD", Times: -1, Action: tustest.Respond(403, "")}},
		"PATCH": {{Method: "HEAD", Times: -1, Action: goneWith(404)}, {Method: "PATCH", Times: -1, Action: tustest.Respond(403, "")}},
		"500":   {{Method: "HEAD", Times: -1, Action: tustest.Respond(500, "")}, {Method: "PATCH", Times: -1, Action: tustest.Respond(500, "")}},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(faults...)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(nil), whole())
		if err == nil || requestsOf(res.Stats) > 30 {
			t.Errorf("%s: %v after %v", name, err, res.Stats.Requests)
		}
	}
}

// A pause between the creation and the response to HEAD does not skip HEAD.
func TestEmptySource_PausedIsConfirmedLater(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	u, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(nil), whole())
	if err != nil {
		t.Fatal(err)
	}
	for u.State() != tus.StateRecovering {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	u.Pause()
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, srv.Handler, "POST", "HEAD")
}

// withoutLocation serves a creation and drops its Location.
func withoutLocation(status int, offset bool) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		made := httptest.NewRecorder()
		h.Serve(made, r)
		maps.Copy(w.Header(), made.Header())
		w.Header().Set("Location", "")
		if !offset {
			w.Header().Del("Upload-Offset")
		}
		w.WriteHeader(status)
		io.WriteString(w, `{"id":42}`)
	}
}

func TestCreate_CompleteWithoutLocation(t *testing.T) {
	for _, size := range []int{0, 1, 1000} {
		for _, status := range []int{200, 201} {
			for _, pause := range []bool{false, true} {
				srv, data, store := tustest.NewServer(t, nil), randomBytes(size), &storage.Memory{}
				srv.Inject(tustest.Fault{Method: "POST", Action: withoutLocation(status, true)})
				var seen recorder
				client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: seen.hooks()})
				u, err := client.NewUploader(tus.File(tempFile(t, data)), nil)
				if err != nil {
					t.Fatal(err)
				}
				for pause && u.State() != tus.StateReady {
					if err := u.Step(testContext(t)); err != nil {
						t.Fatal(err)
					}
				}
				if pause {
					u.Pause()
				}
				res, err := u.Run(testContext(t))
				if err != nil || res.URL != "" || res.Offset != int64(size) || res.Creation.StatusCode != status || len(seen.urls) != 0 {
					t.Fatalf("%d bytes, %d: %+v, %v", size, status, res, err)
				}
				wantStored(t, srv.Handler, srv.Uploads()[0].ID, data)
				wantMethods(t, srv.Handler, "OPTIONS", "POST")
				for rec := range store.All(t.Context()) {
					t.Errorf("record %+v is left", rec)
				}
			}
		}
	}
}

// oCIS responds to the creation of an empty upload with an empty Location.
func TestCreate_EmptyWithEmptyLocation(t *testing.T) {
	for _, limit := range []int64{0, -1} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Action: withoutLocation(201, false)})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(nil), &tus.UploadOptions{CreationLimit: limit})
		if err != nil || res.URL != "" || srv.Count("POST") != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	}
}

// The upload of an empty source has nothing to lose: Tus-Resumable is enough.
func TestCreate_EmptyWithoutLocationAndOffset(t *testing.T) {
	for _, status := range []int{200, 201, 204} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Action: withoutLocation(status, false)})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(nil), nil)
		if err != nil || res.URL != "" || srv.Count("POST") != 1 {
			t.Errorf("%d: %+v, %v", status, res, err)
		}
	}
}

func TestCreate_IncompleteWithoutLocation(t *testing.T) {
	page := faults.RespondAfter(200, htmlPage, "Content-Type", "text/html")
	for name, test := range map[string]struct {
		size   int
		action tustest.Action
		limit  int64
	}{
		"page for an empty source":   {0, page, 0},
		"no offset":                  {10, withoutLocation(201, false), 0},
		"200 without an offset":      {10, withoutLocation(200, false), 0},
		"a part stored":              {2000, tustest.SetHeader("Location", "", "Upload-Offset", "1000"), 0},
		"offset of bytes never sent": {10, tustest.SetHeader("Location", "", "Upload-Offset", "10"), -1},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Action: test.action})
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(test.size)), &tus.UploadOptions{CreationLimit: test.limit})
		if !errors.Is(err, tus.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// If the server refuses a stored upload permanently, the error names the record.
func TestStoredUpload_RefusalNamesItsRecord(t *testing.T) {
	began := time.Now().Add(-time.Minute)
	data := randomBytes(3000)
	for name, opts := range map[string]*tus.UploadOptions{"chunks": chunked(), "parts": inParts(2)} {
		for status, temporary := range map[int]bool{403: false, 400: false, 500: true} {
			for _, method := range []string{"HEAD", "PATCH"} {
				t.Run(name+" "+method+" "+strconv.Itoa(status), func(t *testing.T) {
					srv, store, path := tustest.NewServer(t, nil), &storage.Memory{}, tempFile(t, data)
					client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
					injected := &script{}
					srv.Inject(tustest.Fault{Times: -1, Action: injected.play})
					refuse := func(method string, skip int, action tustest.Action) {
						injected.lines = nil
						injected.add(line{match: func(r *http.Request) bool { return r.Method == method }, skip: skip, times: always, action: action})
					}
					refuse("PATCH", 1, faults.RespondAfter(422, ""))
					if _, err := client.UploadFile(testContext(t), path, opts); errors.As(err, new(*tus.StoredError)) || err == nil {
						t.Fatalf("first session: %v", err)
					}
					var rec storage.Record
					for rec = range store.All(t.Context()) {
					}
					refuse(method, 0, faults.RespondAfter(status, "moved to cold storage"))
					_, err := client.UploadFile(testContext(t), path, opts)
					var stored *tus.StoredError
					var failed *tus.Error
					if !errors.As(err, &stored) || !errors.As(err, &failed) || failed.StatusCode != status || tus.IsRetryable(err) != temporary {
						t.Fatalf("second session: %v", err)
					}
					if stored.ID != rec.ID || !strings.Contains(err.Error(), "upload of "+rec.Created.UTC().Format(time.RFC3339)) || rec.Created.Before(began) ||
						!strings.Contains(err.Error(), rec.ID) || name == "chunks" && !strings.Contains(err.Error(), "bytes acknowledged") {
						t.Errorf("error is %v of %+v, record %+v", err, stored, rec)
					}
					rec = records(t, store)[0]
					if err := store.Delete(t.Context(), stored.ID, rec.Revision); err != nil {
						t.Fatal(err)
					}
					injected.end()
					res, err := client.UploadFile(testContext(t), path, opts)
					if err != nil || res.Stats.ResumedFrom != 0 {
						t.Fatalf("third session: %+v, %v", res, err)
					}
					wantStored(t, srv.Handler, res.URL, data)
				})
			}
		}
	}
}

// A load balancer that selects servers by cookie distributes the requests of a client
// without cookies over all of them.
func TestCreation_GoneTwiceAtOnceNamesCookies(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: faults.Vanish()})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(randomBytes(5000)), chunked())
	wantError(t, err, tus.ErrUploadGone)
	if !strings.Contains(err.Error(), "cookie") || srv.Count("POST") != 2 {
		t.Errorf("%d creations: %v", srv.Count("POST"), err)
	}
	wantEmptyStore(t, store)
}
