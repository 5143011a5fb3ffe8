package tus_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// fromTheStart is data that a session can read once, from its beginning on.
type fromTheStart struct {
	tus.Source
	reader io.ReadCloser
	at     int64
}

func (s *fromTheStart) Stat(ctx context.Context) (tus.SourceInfo, error) {
	info, err := s.Source.Stat(ctx)
	info.Sequential = true
	return info, err
}

func (s *fromTheStart) Open(ctx context.Context, offset int64) (_ io.ReadCloser, err error) {
	if offset == 0 {
		s.reader, err = s.Source.Open(ctx, 0)
		s.at = 0
	}
	if s.at != offset || err != nil {
		return nil, fmt.Errorf("%w from byte %d on", tus.ErrNotRecoverable, offset)
	}
	return onwards{s}, nil
}

// onwards reads on where the reader before it stopped.
type onwards struct{ *fromTheStart }

func (r onwards) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	r.at += int64(n)
	return n, err
}

func (onwards) Close() error { return nil }

// A later session cannot go on with the upload, and none that follows could: it
// begins a new one, and tells so.
func TestStoredUploadOfASourceThatOnlyReadsFromItsStartBeginsAnew(t *testing.T) {
	data := randomBytes(10_000)
	for name, sum := range map[string]string{"plain": "off", "with checksums": ""} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			left := stoppedAt(t, srv.Endpoint(), store, &fromTheStart{Source: tus.Bytes(data)}, 3000)
			var retries []tus.Retry
			opts := inChunks()
			opts.Checksum = sum
			opts.Hooks.OnRetry = func(_ *tus.Uploader, r tus.Retry) { retries = append(retries, r) }
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
			res, err := client.Upload(testContext(t), &fromTheStart{Source: tus.Bytes(data)}, opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			wantEmptyStore(t, store)
			if res.URL == left.URL || res.Stats.Restarts != 1 || res.Stats.Sent != 10_000 {
				t.Errorf("result is %+v", res)
			}
			if len(retries) != 1 {
				t.Fatalf("hook was told of %v", retries)
			}
			wantError(t, retries[0].Err, tus.ErrNotRecoverable)
			if up, _ := srv.Upload(left.URL); string(up.Data) != string(data[:3000]) {
				t.Errorf("the old upload has %d bytes now", len(up.Data))
			}
		})
	}
}

// What this session lost by itself is an error: the next one decides.
func TestSourceThatCannotBeReadAgainEndsTheSessionThatReadIt(t *testing.T) {
	srv, store, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutAfter(500)})
	opts := inChunks()
	opts.Checksum = "off"
	upload := func() (*tus.Result, error) {
		return newClient(t, srv.Endpoint(), &tus.Options{Store: store}).
			Upload(testContext(t), &fromTheStart{Source: tus.Bytes(data)}, opts)
	}
	res, err := upload()
	wantError(t, err, tus.ErrNotRecoverable)
	if res.Stats.Restarts != 0 || len(records(t, store)) != 1 {
		t.Fatalf("stats are %+v, store has %+v", res.Stats, records(t, store))
	}
	if res, err = upload(); err != nil || res.Stats.Restarts != 1 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// An upload whose URL the caller gave is the caller's to give up.
func TestGivenUploadOfASourceThatOnlyReadsFromItsStartIsNotReplaced(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(10_000)
	left := stoppedAt(t, srv.Endpoint(), nil, &fromTheStart{Source: tus.Bytes(data)}, 3000)
	_, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), left.URL, &fromTheStart{Source: tus.Bytes(data)}, inChunks())
	wantError(t, err, tus.ErrNotRecoverable)
	if n := srv.Count("POST"); n != 1 {
		t.Errorf("%d uploads were created", n)
	}
}
