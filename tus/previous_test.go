package tus_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestPreviousUploads_FurthestIsResumedUnlessChosen(t *testing.T) {
	data := randomBytes(10_000)
	prepare := func(t *testing.T) (*tustest.Server, *storage.Memory, []tus.Previous) {
		srv, store := tustest.NewServer(t, nil), &storage.Memory{}
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
		// Three at the same time, so that none resumes another.
		var uploaders []*tus.Uploader
		for _, offset := range []int64{2000, 5000, 3000} {
			opts := chunked()
			opts.StopAt = offset
			uploaders = append(uploaders, created(t, client, tus.Bytes(data), opts))
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
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if res.Stats.ResumedFrom != 5000 {
			t.Errorf("resumed from %d", res.Stats.ResumedFrom)
		}
		for _, rec := range records(t, store) {
			if rec.Lease != nil {
				t.Errorf("the lease of another upload is left: %+v", rec)
			}
		}
	})
	t.Run("chosen", func(t *testing.T) {
		for chosen := range 3 {
			srv, store, previous := prepare(t)
			heads := srv.Count("HEAD")
			opts := chunked()
			opts.Previous = &previous[chosen]
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if res.URL != previous[chosen].URL || srv.Count("HEAD") != heads+1 {
				t.Errorf("resumed %s after %d HEAD requests, want %s", res.URL, srv.Count("HEAD")-heads, previous[chosen].URL)
			}
			if left := records(t, store); len(left) != 2 {
				t.Errorf("%d of the other uploads are left", len(left))
			}
		}
	})
	t.Run("one of them gone", func(t *testing.T) {
		srv, store, previous := prepare(t)
		for _, p := range previous {
			if up, _ := srv.Upload(p.URL); len(up.Data) == 5000 {
				srv.Forget(p.URL)
			}
		}
		res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), chunked())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if left := records(t, store); res.Stats.ResumedFrom != 3000 || len(left) != 1 {
			t.Errorf("resumed from %d, and %d records are left", res.Stats.ResumedFrom, len(left))
		}
	})
}

func TestPreviousUploads_DeletedOneStartsOver(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	old := stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 {
		t.Fatalf("previous uploads are %+v, %v", previous, err)
	}
	if err := store.Delete(context.Background(), previous[0].ID, previous[0].Revision); err != nil {
		t.Fatal(err)
	}
	opts := chunked()
	opts.Previous = &previous[0]
	res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil || res.URL == old.URL {
		t.Fatalf("resumed %s, %v", res.URL, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestPreviousUploads_SendsNothing(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	u := created(t, client, tus.Bytes(data), chunked())
	requests := len(srv.Requests())
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 || previous[0].URL != u.URL() || previous[0].HeldUntil.IsZero() {
		t.Errorf("previous uploads are %+v, %v", previous, err)
	}
	for name, source := range map[string]tus.Source{"another": tus.Bytes(randomBytes(9999)), "a stream": tus.Reader(bytes.NewReader(data))} {
		if previous, err := client.PreviousUploads(testContext(t), source, nil); err != nil || len(previous) != 0 {
			t.Errorf("%s: previous uploads are %+v, %v", name, previous, err)
		}
	}
	if previous, err := newClient(t, srv.Endpoint(), nil).PreviousUploads(testContext(t), tus.Bytes(data), nil); err != nil || len(previous) != 0 {
		t.Errorf("without a store: previous uploads are %+v, %v", previous, err)
	}
	broken := &scripted{Store: store, find: func(func() ([]storage.Record, error)) ([]storage.Record, error) { return nil, storage.ErrClosed }}
	_, err = newClient(t, srv.Endpoint(), &tus.Options{Store: broken}).PreviousUploads(testContext(t), tus.Bytes(data), nil)
	wantError(t, err, tus.ErrStore)
	wantError(t, err, storage.ErrClosed)
	if n := len(srv.Requests()); n != requests {
		t.Errorf("%d requests", n-requests)
	}
}

// A caller who chose an upload gets an error instead of an upload from zero.
func TestPreviousUploads_OfOtherSourceIsInvalid(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), new(storage.Memory), randomBytes(5000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	if _, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{StopAt: 1000}); !errors.Is(err, tus.ErrPaused) {
		t.Fatal(err)
	}
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 {
		t.Fatalf("%d previous uploads: %v", len(previous), err)
	}
	created := srv.Count("POST")
	for name, upload := range map[string]struct {
		source tus.Source
		opts   tus.UploadOptions
	}{
		"other source":   {tus.Bytes(data[1:]), tus.UploadOptions{Previous: &previous[0]}},
		"other metadata": {tus.Bytes(data), tus.UploadOptions{Previous: &previous[0], Metadata: tus.Metadata{"a": "b"}}},
		"stream":         {tus.Reader(bytes.NewReader(data[1:])), tus.UploadOptions{Previous: &previous[0]}},
		"no record":      {tus.Bytes(data), tus.UploadOptions{Previous: new(tus.Previous)}},
	} {
		_, err := client.Upload(testContext(t), upload.source, &upload.opts)
		if !errors.Is(err, tus.ErrInvalidInput) || srv.Count("POST") != created {
			t.Errorf("%s: %v", name, err)
		}
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Previous: &previous[0]})
	if err != nil || res.Stats.ResumedFrom != 1000 {
		t.Errorf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestPreviousUploads_ReturnsWhatIsStored(t *testing.T) {
	srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(unequalSize)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	interruptedInParts(t, srv, store, data)
	rec := records(t, store)[0]
	previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
	if err != nil || len(previous) != 1 {
		t.Fatalf("previous uploads are %+v, %v", previous, err)
	}
	p := previous[0]
	if p.ID != rec.ID || p.Revision != rec.Revision || p.URL != "" || p.Size != unequalSize || !slices.Equal(p.Parts, rec.Parts) ||
		!p.Created.Equal(rec.Created) || !p.Updated.Equal(rec.Updated) || !p.Expires.Equal(rec.Expires) || !p.HeldUntil.IsZero() {
		t.Errorf("previous upload is %+v, record %+v", p, rec)
	}
	if err := store.Delete(t.Context(), p.ID, p.Revision); err != nil {
		t.Error(err)
	}
	u, err := client.NewUploader(tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	for u.State() != tus.StateCreating {
		if err := u.Step(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	// The record is stored without an upload URL.
	if previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil); err != nil || len(previous) != 0 || len(records(t, store)) != 1 {
		t.Errorf("previous uploads are %+v, %v", previous, err)
	}
}
