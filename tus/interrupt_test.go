package tus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// eventStore calls event before and after each operation.
type eventStore struct {
	storage.Store
	event func(what string)
}

func (s *eventStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if rec.Finishing && len(rec.Parts) == 0 {
		// An interruption here cuts a request; how much of it is stored is not determined.
		return s.Store.Put(ctx, rec)
	}
	s.event("before Put")
	stored, err := s.Store.Put(ctx, rec)
	if err == nil {
		s.event("after Put")
	}
	return stored, err
}

func (s *eventStore) Find(ctx context.Context, key string) ([]storage.Record, error) {
	s.event("before Find")
	return s.Store.Find(ctx, key)
}

func (s *eventStore) Delete(ctx context.Context, id string, revision int64) error {
	s.event("before Delete")
	return s.Store.Delete(ctx, id, revision)
}

// interrupted is an upload that is paused or canceled at its nth event, and then resumed by
// the same Uploader or by others.
type interrupted struct {
	opts   tus.UploadOptions
	sums   []checksum.Algorithm
	nth    int
	cancel bool   // instead of Pause
	by     string // "run", "steps" or "sessions"

	events atomic.Int64
	at     string // what the nth event was
}

// upload returns when the upload is complete.
func (i *interrupted) upload(t *testing.T, srv *tustest.Server, store storage.Store, data []byte) (url string, err error) {
	var u *tus.Uploader
	var end context.CancelFunc
	event := func(what string) {
		if int(i.events.Add(1)) != i.nth {
			return
		}
		if i.at = what; i.cancel {
			end()
		} else {
			u.Pause()
		}
	}
	client := newClient(t, srv.Endpoint(), &tus.Options{
		MaxConnections: 1, Checksums: i.sums, Store: &eventStore{store, event},
		Hooks: tus.Hooks{
			BeforeRequest: func(r *http.Request) error { event("before " + r.Method); return nil },
			AfterResponse: func(r *http.Request, _ *tus.Response) { event("after " + r.Method) },
			OnStateChange: func(_ *tus.Uploader, from, to tus.State, _ error) { event(fmt.Sprintf("%v to %v", from, to)) },
		},
	})
	var ctx context.Context
	for range 200 {
		if u == nil || i.by == "sessions" {
			if u, err = client.NewUploader(tus.Bytes(data), &i.opts); err != nil {
				return "", err
			}
		}
		if ctx == nil || ctx.Err() != nil {
			ctx, end = context.WithCancel(testContext(t))
			defer end()
		}
		for {
			if i.by == "steps" {
				err = u.Step(ctx)
			} else {
				_, err = u.Run(ctx)
			}
			if u.State() == tus.StateComplete {
				return u.URL(), nil
			}
			if err != nil {
				break
			}
		}
		if !errors.Is(err, tus.ErrPaused) && !errors.Is(err, context.Canceled) {
			return u.URL(), err
		}
	}
	return u.URL(), errors.New("upload never completes")
}

// TestInterruption_SendsAndCreatesNothingTwice interrupts each kind of upload at each
// event that a program can observe.
func TestInterruption_SendsAndCreatesNothingTwice(t *testing.T) {
	t.Parallel() // others mostly wait
	data := randomBytes(unequalSize)
	none := []checksum.Algorithm{}
	kinds := map[string]struct {
		extensions []string
		opts       tus.UploadOptions
		sums       []checksum.Algorithm
	}{
		"in chunks":            {nil, *chunked(), none},
		"with the creation":    {nil, tus.UploadOptions{}, none},
		"deferred length":      {nil, tus.UploadOptions{ChunkSize: 1000, DeferLength: true}, none},
		"checksums":            {tustest.Without("checksum-trailer"), *chunked(), checksum.Builtin()},
		"trailers":             {nil, *chunked(), checksum.Builtin()},
		"parts":                {tustest.Without("concatenation-unfinished"), *unequal(), none},
		"parts, unfinished":    {nil, *unequal(), none},
		"parts with checksums": {tustest.Without("concatenation-unfinished", "checksum-trailer"), *unequal(), checksum.Builtin()},
	}
	for kind, k := range kinds {
		for _, by := range []string{"run", "steps", "sessions"} {
			t.Run(kind+"/"+by, func(t *testing.T) {
				t.Parallel()
				creations, last := 0, 0
				for nth := 0; nth <= last; nth++ {
					for _, cancel := range []bool{false, true} {
						srv, store := tustest.NewServer(t, &tustest.Options{Extensions: k.extensions}), &storage.Memory{}
						i := interrupted{opts: k.opts, sums: k.sums, nth: nth, cancel: cancel, by: by}
						url, err := i.upload(t, srv, store, data)
						if err != nil {
							t.Fatalf("at %d (%s): %v", nth, i.at, err)
						}
						if nth == 0 {
							creations, last = srv.Count("POST"), int(i.events.Load())
						}
						if n := srv.Count("POST"); n != creations || bytesReceived(srv) != unequalSize {
							t.Errorf("at %d (%s): %d creations, not %d, and %d bytes", nth, i.at, n, creations, bytesReceived(srv))
						}
						wantStored(t, srv.Handler, url, data)
						if left := records(t, store); len(left) > 0 {
							t.Errorf("at %d (%s): %d records are left", nth, i.at, len(left))
						}
					}
				}
				if last < 10 && kind != "with the creation" {
					t.Errorf("only %d events", last)
				}
			})
		}
	}
}
