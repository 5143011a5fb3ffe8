package tus_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestFingerprint_BlockedReadDoesNotDelayEnd(t *testing.T) {
	for name, closes := range map[string]bool{"Close ends the Read": true, "Close does not": false} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			release, reading := make(chan struct{}), make(chan struct{})
			wake := sync.OnceFunc(func() { close(release) })
			defer wake()
			begun := sync.OnceFunc(func() { close(reading) })
			source := blockingSource{Source: tus.Bytes(randomBytes(3000)), read: func() { begun(); <-release }}
			if closes {
				source.close = wake
			}
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: &storage.Memory{}})
			wantEndWhenCanceled(t, client, source, whole(), reading)
			if closes {
				receive(t, release)
			}
			wantMethods(t, srv.Handler)
		})
	}
}

// wantEndWhenCanceled starts an upload, cancels it when its source hangs, and fails unless
// it ends.
func wantEndWhenCanceled(t *testing.T, client *tus.Client, source tus.Source, opts *tus.UploadOptions, hangs <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := client.Upload(ctx, source, opts)
		done <- err
	}()
	receive(t, hangs)
	cancel()
	wantError(t, receive(t, done), context.Canceled)
}

// tail is a source without the first bytes of a file.
type tail struct {
	path       string
	skip, size int64
}

func (s tail) Stat(context.Context) (tus.SourceInfo, error) {
	return tus.SourceInfo{Size: s.size, ModTime: longAgo}, nil
}

func (s tail) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	_, err = f.Seek(s.skip+offset, io.SeekStart)
	return f, err
}

// The reader is the file itself, which starts before the source.
func TestFingerprint_FileTailsAreDistinct(t *testing.T) {
	data, sources := randomBytes(30_000), []tail{}
	for _, end := range []int{20_000, 30_000} {
		path := tempFile(t, slices.Concat(data[:10_000], data[end-10_000:end]))
		sources = append(sources, tail{path, 10_000, 10_000})
	}
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	stoppedAt(t, srv.Endpoint(), store, sources[0], 3000)
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
	for _, i := range []int{1, 0} {
		res, err := client.Upload(testContext(t), sources[i], whole())
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data[10_000*(i+1):10_000*(i+2)])
		if resumed := res.Stats.ResumedFrom > 0; resumed != (i == 0) {
			t.Errorf("source %d was resumed: %v", i, resumed)
		}
	}
}

func TestFingerprint_PanicReachesCaller(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	because := errors.New("fingerprinter panics")
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Store: &storage.Memory{},
		Fingerprinter: fingerprint.Func(func(context.Context, io.ReaderAt, fingerprint.Info) (string, error) {
			panic(because)
		}),
	})
	defer func() {
		if got := recover(); got != because {
			t.Errorf("recovered %v", got)
		}
		wantMethods(t, srv.Handler)
	}()
	client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
}
