package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// inChunks sends 10,000 bytes in ten requests.
func inChunks() *tus.UploadOptions { return &tus.UploadOptions{ChunkSize: 1000} }

// stoppedAt uploads data up to an offset and leaves the rest to a later session.
func stoppedAt(t *testing.T, endpoint string, store storage.Store, source tus.Source, offset int64) *tus.Result {
	t.Helper()
	opts := inChunks()
	opts.StopAt = offset
	res, err := newClient(t, endpoint, &tus.Options{Store: store}).Upload(testContext(t), source, opts)
	wantError(t, err, tus.ErrPaused)
	return res
}

// records lists a store.
func records(t testing.TB, store storage.Store) []storage.Record {
	t.Helper()
	var all []storage.Record
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}

func wantEmptyStore(t testing.TB, store storage.Store) {
	t.Helper()
	if left := records(t, store); len(left) > 0 {
		t.Fatalf("left in the store: %+v", left)
	}
}

func TestLaterSessionGoesOnFromTheLastConfirmedByte(t *testing.T) {
	stores := map[string]func(t *testing.T) storage.Store{
		"memory": func(*testing.T) storage.Store { return &storage.Memory{} },
		"bolt": func(t *testing.T) storage.Store {
			s, err := boltstore.Open(filepath.Join(t.TempDir(), "uploads.db"), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		"files": func(t *testing.T) storage.Store {
			s, err := filestore.Open(filepath.Join(t.TempDir(), "uploads"), nil)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	data := randomBytes(10_000)
	interruptions := map[string]func(t *testing.T, srv *tustest.Server, store storage.Store){
		"stopped": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
		},
		"context": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			ctx, cancel := context.WithCancel(testContext(t))
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				cancel()
				tustest.Stall()(w, r, h)
			}})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(ctx, tus.Bytes(data), inChunks())
			wantError(t, err, context.Canceled)
		},
		"failure": func(t *testing.T, srv *tustest.Server, store storage.Store) {
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.Respond(403, "not today")})
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
			wantError(t, err, tus.ErrUnauthorized)
		},
	}
	for name, open := range stores {
		for why, interrupt := range interruptions {
			t.Run(name+"/"+why, func(t *testing.T) {
				srv, store := tustest.NewServer(t, nil), open(t)
				interrupt(t, srv, store)
				before := len(srv.Requests())
				res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, res.URL, data)
				if res.Stats.ResumedFrom != 3000 || res.Stats.Sent != 7000 || res.Stats.Resent != 0 {
					t.Errorf("stats are %+v", res.Stats)
				}
				var methods []string
				for _, r := range srv.Requests()[before:] {
					methods = append(methods, r.Method)
				}
				if got := strings.Join(methods, " "); got != "HEAD"+strings.Repeat(" PATCH", 7) {
					t.Errorf("requests were %s", got)
				}
				wantEmptyStore(t, store)
			})
		}
	}
}

func TestURLIsStoredBeforeTheFirstByteAndUntilTheLastIsConfirmed(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	seen := 0
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		all := records(t, store)
		if len(all) != 1 || !strings.HasSuffix(all[0].UploadURL, r.URL.Path) || all[0].Size != 10_000 || all[0].Lease == nil || all[0].Endpoint != srv.Endpoint() {
			t.Errorf("with a PATCH at %s the store holds %+v", r.Header.Get("Upload-Offset"), all)
		}
		seen++
		h.Serve(w, r)
	}})
	if _, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(randomBytes(10_000)), inChunks()); err != nil {
		t.Fatal(err)
	}
	if seen != 10 {
		t.Errorf("%d PATCH requests", seen)
	}
	wantEmptyStore(t, store)
}

func TestUploadInOneRequestIsNotStored(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	store := &countingStore{Store: &storage.Memory{}}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	for _, size := range []int{0, 100} {
		if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(size)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if store.puts != 0 {
		t.Errorf("%d records were stored", store.puts)
	}
	// Only if the server did not take all of it there is something to resume.
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.AcceptOnly(30)})
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(101)), nil); err != nil {
		t.Fatal(err)
	}
	if store.puts == 0 {
		t.Error("a partly accepted upload was not stored")
	}
	wantEmptyStore(t, store)
}

type countingStore struct {
	storage.Store
	puts int
}

func (s *countingStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	s.puts++
	return s.Store.Put(ctx, rec)
}

func TestFurthestPreviousUploadIsTakenUnlessOneIsChosen(t *testing.T) {
	data := randomBytes(10_000)
	prepare := func(t *testing.T) (*tustest.Server, *storage.Memory, []storage.Record) {
		srv, store := tustest.NewServer(t, nil), &storage.Memory{}
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
		// Three at the same time, so that none goes on with another's.
		var uploaders []*tus.Uploader
		for _, offset := range []int64{2000, 5000, 3000} {
			opts := inChunks()
			opts.StopAt = offset
			u, err := client.NewUploader(tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			for u.URL() == "" {
				if err := u.Step(testContext(t)); err != nil {
					t.Fatal(err)
				}
			}
			uploaders = append(uploaders, u)
		}
		for _, u := range uploaders {
			_, err := u.Run(testContext(t))
			wantError(t, err, tus.ErrPaused)
		}
		previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
		if err != nil || len(previous) != 3 {
			t.Fatalf("previous uploads are %+v, %v", previous, err)
		}
		return srv, store, previous
	}
	t.Run("furthest", func(t *testing.T) {
		srv, store, _ := prepare(t)
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.ResumedFrom != 5000 {
			t.Errorf("resumed from %d", res.Stats.ResumedFrom)
		}
		for _, rec := range records(t, store) {
			if rec.Lease != nil {
				t.Errorf("the lease of another upload was kept: %+v", rec)
			}
		}
	})
	t.Run("chosen", func(t *testing.T) {
		srv, store, previous := prepare(t)
		opts := inChunks()
		opts.Previous = &previous[0]
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.URL != previous[0].UploadURL {
			t.Errorf("went on with %s", res.URL)
		}
	})
}

func TestStoredUploadThatIsOfNoUseIsReplaced(t *testing.T) {
	data := randomBytes(10_000)
	for name, fault := range map[string]tustest.Action{
		"404":                 tustest.Respond(404, ""),
		"410":                 tustest.Respond(410, ""),
		"another length":      tustest.SetHeader("Upload-Length", "9999"),
		"length not even set": tustest.SetHeader("Upload-Length", "10001"),
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			srv.Inject(tustest.Fault{Method: "HEAD", Action: fault})
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.URL == old.URL || res.Stats.ResumedFrom != 0 {
				t.Errorf("went on with it: %+v", res.Stats)
			}
			wantEmptyStore(t, store)
		})
	}
}

func TestTroubleWithTheServerNeverDropsTheRecord(t *testing.T) {
	data := randomBytes(10_000)
	for _, status := range []int{400, 401, 403, 423, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			srv.Inject(tustest.Fault{Method: "HEAD", Times: 9, Action: tustest.Respond(status, "")})
			posts := srv.Count("POST")
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
			if _, err := client.Upload(testContext(t), tus.Bytes(data), inChunks()); err == nil {
				t.Fatal("upload succeeded")
			}
			if all := records(t, store); len(all) != 1 || all[0].UploadURL != old.URL || all[0].Lease != nil || srv.Count("POST") != posts {
				t.Fatalf("the store holds %+v, %d creations", all, srv.Count("POST"))
			}
			srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { h.Serve(w, r) }})
			for range 9 { // those that are left over
				http.Head(old.URL)
			}
			http.DefaultClient.CloseIdleConnections()
			res, err := client.Upload(testContext(t), tus.Bytes(data), inChunks())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, old.URL, data)
			if res.Stats.ResumedFrom != 3000 {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
}

func TestUploadThatWasCompleteButForTheRecordIsNotSentAgain(t *testing.T) {
	data := randomBytes(10_000)
	srv := tustest.NewServer(t, nil)
	store := &faultyStore{Store: &storage.Memory{}, fail: map[string]error{"delete": errors.New("disk full")}}
	var told []tus.StoreError
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(e tus.StoreError) { told = append(told, e) }}})
	first, err := client.Upload(testContext(t), tus.Bytes(data), inChunks())
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].Op != "delete" {
		t.Errorf("told of %+v", told)
	}
	store.fail = nil
	second, err := client.Upload(testContext(t), tus.Bytes(data), inChunks())
	if err != nil {
		t.Fatal(err)
	}
	if second.URL != first.URL || second.Stats.Sent != 0 || second.Stats.ResumedFrom != 10_000 {
		t.Errorf("second result is %+v", second)
	}
	// The one after that is another upload: the record of a finished one is gone.
	third, err := client.Upload(testContext(t), tus.Bytes(data), inChunks())
	if err != nil || third.URL == first.URL || third.Stats.Sent != 10_000 {
		t.Errorf("third result is %+v, %v", third, err)
	}
}

func TestWhatTellsUploadsApart(t *testing.T) {
	dir := t.TempDir()
	data := randomBytes(10_000)
	write := func(name string, data []byte, modified time.Time) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
		return path
	}
	then := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	original := write("original.bin", data, then)
	changed := bytes.Clone(data)
	changed[5000] ^= 1

	srv, other := tustest.NewServer(t, nil), tustest.NewServer(t, nil)
	for name, test := range map[string]struct {
		endpoint string
		path     string
		options  tus.Options
		upload   tus.UploadOptions
		resumes  bool
	}{
		"the same":         {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{}, true},
		"renamed":          {srv.Endpoint(), write("renamed.bin", data, then), tus.Options{}, tus.UploadOptions{}, true},
		"one byte changed": {srv.Endpoint(), write("changed.bin", changed, then), tus.Options{}, tus.UploadOptions{}, false},
		"touched":          {srv.Endpoint(), write("touched.bin", data, then.Add(time.Second)), tus.Options{}, tus.UploadOptions{}, false},
		"longer":           {srv.Endpoint(), write("longer.bin", append(bytes.Clone(data), 1), then), tus.Options{}, tus.UploadOptions{}, false},
		"other metadata":   {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{Metadata: tus.Metadata{"object": "2"}}, false},
		"other resume key": {srv.Endpoint(), original, tus.Options{}, tus.UploadOptions{ResumeKey: "object 2"}, false},
		"other server":     {other.Endpoint(), original, tus.Options{}, tus.UploadOptions{}, false},
		"other path":       {srv.Endpoint() + "?tenant=2", original, tus.Options{}, tus.UploadOptions{}, false},
		"content only":     {srv.Endpoint(), original, tus.Options{Fingerprinter: fingerprint.Content{}}, tus.UploadOptions{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := &storage.Memory{}
			opts := inChunks()
			opts.StopAt = 3000
			_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), original, opts)
			wantError(t, err, tus.ErrPaused)
			test.options.Store = store
			test.upload.ChunkSize = 1000
			res, err := newClient(t, test.endpoint, &test.options).UploadFile(testContext(t), test.path, &test.upload)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Stats.ResumedFrom == 3000; got != test.resumes {
				t.Errorf("resumed from %d", res.Stats.ResumedFrom)
			}
		})
	}
}

func TestResumeScopeJoinsEndpoints(t *testing.T) {
	// Services that mint an endpoint for each upload: the URL stays the same.
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	data := randomBytes(10_000)
	opts := inChunks()
	opts.StopAt = 3000
	_, err := newClient(t, srv.Endpoint()+"?token=1", &tus.Options{Store: store, ResumeScope: "the service"}).Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrPaused)
	res, err := newClient(t, srv.Endpoint()+"?token=2", &tus.Options{Store: store, ResumeScope: "the service"}).Upload(testContext(t), tus.Bytes(data), inChunks())
	if err != nil || res.Stats.ResumedFrom != 3000 {
		t.Errorf("result is %+v, %v", res, err)
	}
}

func TestStoredUploadOfASourceWithAnotherSizeByNow(t *testing.T) {
	byName := fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) { return "the log", nil })
	short, long := randomBytes(10_000), randomBytes(12_000)
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Fingerprinter: byName})
	stop := inChunks()
	stop.StopAt = 3000
	_, err := client.Upload(testContext(t), tus.Bytes(short), stop)
	wantError(t, err, tus.ErrPaused)
	_, err = client.Upload(testContext(t), tus.Bytes(long), inChunks())
	wantError(t, err, tus.ErrSourceChanged)
	wantEmptyStore(t, store) // so that the next attempt is a new upload
	_, err = client.Upload(testContext(t), tus.Bytes(short), stop)
	wantError(t, err, tus.ErrPaused)
	restart := inChunks()
	restart.SourceChanged = tus.SourceChangedRestart
	res, err := client.Upload(testContext(t), tus.Bytes(long), restart)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, long)
	wantEmptyStore(t, store)
}

func TestSourceThatChangesDuringItsUploadDropsTheRecord(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, randomBytes(10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if err := os.Truncate(path, 5000); err != nil {
			t.Error(err)
		}
		h.Serve(w, r)
	}})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).UploadFile(testContext(t), path, inChunks())
	wantError(t, err, tus.ErrSourceChanged)
	wantEmptyStore(t, store)
}

func TestAbortForgetsTheUpload(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	opts := inChunks()
	opts.StopAt = 3000
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(randomBytes(10_000)), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	if err := u.Abort(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantEmptyStore(t, store)
	if up, _ := srv.Upload(u.URL()); !up.Terminated {
		t.Error("the upload is still on the server")
	}
}

func TestExpiryIsKeptInTheRecord(t *testing.T) {
	srv, store := tustest.NewServer(t, &tustest.Options{Expires: time.Hour}), &storage.Memory{}
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(randomBytes(10_000)), 3000)
	all := records(t, store)
	if left := time.Until(all[0].Expires); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("record expires in %v", left)
	}
}

func TestRecordsHoldNoHeaders(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	opts := inChunks()
	opts.StopAt = 3000
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Header: http.Header{"Authorization": {"Bearer PLANTED"}, "Cookie": {"session=PLANTED"}}})
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10_000)), opts)
	wantError(t, err, tus.ErrPaused)
	for _, rec := range records(t, store) {
		encoded, err := storage.Encode(rec)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(encoded, []byte("PLANTED")) {
			t.Errorf("record is %s", encoded)
		}
	}
}

func TestHostileRecordsAreNoHarm(t *testing.T) {
	data := randomBytes(10_000)
	part := func(offset, size int64) storage.Part {
		return storage.Part{Offset: offset, Size: size, UploadURL: "http://127.0.0.1:1/x"}
	}
	for name, spoil := range map[string]func(*storage.Record){
		"no URL":              func(r *storage.Record) { r.UploadURL = "" },
		"not a URL":           func(r *storage.Record) { r.UploadURL = "http://[::1" },
		"another scheme":      func(r *storage.Record) { r.UploadURL = "file:///etc/passwd" },
		"parts with a hole":   func(r *storage.Record) { r.UploadURL, r.Parts = "", []storage.Part{part(0, 5000), part(5001, 4999)} },
		"parts that end soon": func(r *storage.Record) { r.UploadURL, r.Parts = "", []storage.Part{part(0, 5000), part(5000, 4999)} },
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			rec := records(t, store)[0]
			spoil(&rec)
			if _, err := store.Put(context.Background(), rec); err != nil {
				t.Fatal(err)
			}
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), inChunks())
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}

// faultyStore fails on command.
type faultyStore struct {
	storage.Store
	mu   sync.Mutex
	fail map[string]error // by operation
	// late lets a Put do its work and then report the error.
	late bool
}

func (s *faultyStore) failure(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail[op]
}

func (s *faultyStore) Find(ctx context.Context, key string) ([]storage.Record, error) {
	if err := s.failure("find"); err != nil {
		return nil, err
	}
	return s.Store.Find(ctx, key)
}

func (s *faultyStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	err := s.failure("put")
	if err != nil && !s.late {
		return storage.Record{}, err
	}
	stored, putErr := s.Store.Put(ctx, rec)
	if err != nil && putErr == nil {
		return storage.Record{}, err
	}
	return stored, putErr
}

func (s *faultyStore) Delete(ctx context.Context, id string) error {
	if err := s.failure("delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, id)
}

func TestStoreThatFailsEndsTheUploadOnlyIfItIsRequired(t *testing.T) {
	data := randomBytes(10_000)
	full := errors.New("no space left on device")
	for op, err := range map[string]error{"find": full, "put": full, "find ": &storage.Error{Path: "x", Err: storage.ErrCorrupt}} {
		t.Run(op, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			store := &faultyStore{Store: &storage.Memory{}, fail: map[string]error{strings.TrimSpace(op): err}}
			var told []tus.StoreError
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: tus.Hooks{OnStoreError: func(e tus.StoreError) { told = append(told, e) }}})
			res, uploadErr := client.Upload(testContext(t), tus.Bytes(data), inChunks())
			if uploadErr != nil {
				t.Fatal(uploadErr)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if len(told) == 0 || told[0].Op != strings.TrimSpace(op) || !errors.Is(told[0].Err, err) {
				t.Errorf("told of %+v", told)
			}
			client = newClient(t, srv.Endpoint(), &tus.Options{Store: store, RequireStore: true})
			_, uploadErr = client.Upload(testContext(t), tus.Bytes(data), inChunks())
			wantError(t, uploadErr, tus.ErrStore)
			wantError(t, uploadErr, err)
			if n := srv.BytesReceived(); n != 10_000 {
				t.Errorf("%d bytes were received: some without a record", n)
			}
		})
	}
}

func TestPutThatFailedAfterItsWorkIsNoLostLease(t *testing.T) {
	data := randomBytes(10_000)
	srv := tustest.NewServer(t, nil)
	store := &faultyStore{Store: &storage.Memory{}, fail: map[string]error{"put": errors.New("timeout")}, late: true}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		store.mu.Lock()
		store.fail = nil
		store.mu.Unlock()
		h.Serve(w, r)
	}})
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	opts := inChunks()
	opts.StopAt = 5000
	u, err := client.NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	if _, err := u.Run(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, u.URL(), data)
}

func TestManyUploadsWithOneStore(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "uploads.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	jobs := func(yield func(tus.Job) bool) {
		for i := range 100 {
			data := append(randomBytes(5000), byte(i))
			if !yield(tus.Job{Source: tus.Bytes(data), Options: inChunks(), Tag: data}) {
				return
			}
		}
	}
	for r := range client.UploadAll(testContext(t), jobs, &tus.BatchOptions{Concurrency: 20}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		wantStored(t, srv.Handler, r.Result.URL, r.Job.Tag.([]byte))
	}
	wantEmptyStore(t, store)
}
