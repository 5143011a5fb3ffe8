package tus_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// startSource is a source whose readers at offset 0 are special. In an upload that resumes
// at a higher offset, only the digest opens them.
type startSource struct {
	tus.Source
	open func() (io.ReadCloser, error) // nil values open the source
}

func (s *startSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if offset == 0 {
		if r, err := s.open(); r != nil || err != nil {
			return r, err
		}
	}
	return s.Source.Open(ctx, offset)
}

// resumeWithDigest resumes an upload of 600,000 bytes that were sent without a digest.
func resumeWithDigest(ctx context.Context, t *testing.T, srv *tustest.Server, data []byte, client *tus.Options, open func() (io.ReadCloser, error)) (*tus.Result, error) {
	t.Helper()
	first := digestStopped(t, srv, attributesOnly(), tus.Bytes(data), tus.UploadOptions{})
	source := &startSource{tus.Bytes(data), open}
	return newClient(t, srv.Endpoint(), client).Resume(ctx, first.URL, source, digested(tus.UploadOptions{}))
}

func TestDigest_FailedReadIsRepeatedAtTheEnd(t *testing.T) {
	data := randomBytes(1_000_000)
	srv := tustest.NewServer(t, nil)
	var opened atomic.Int32
	res, err := resumeWithDigest(testContext(t), t, srv, data, nil, func() (io.ReadCloser, error) {
		if opened.Add(1) == 1 {
			return nil, errors.New("tape is not mounted yet")
		}
		return nil, nil
	})
	wantNoError(t, err)
	wantDigest(t, srv.Handler, res, data)
}

func TestDigest_FailedReadIsErrorOfSource(t *testing.T) {
	data, broken := randomBytes(1_000_000), errors.New("disk is broken")
	srv := tustest.NewServer(t, nil)
	res, err := resumeWithDigest(testContext(t), t, srv, data, nil, func() (io.ReadCloser, error) { return nil, broken })
	wantError(t, err, broken)
	if res.Digest != "" {
		t.Errorf("digest is %q", res.Digest)
	}
}

func TestDigest_ShortReaderIsChangedSource(t *testing.T) {
	data := randomBytes(1_000_000)
	srv := tustest.NewServer(t, nil)
	_, err := resumeWithDigest(testContext(t), t, srv, data, nil, func() (io.ReadCloser, error) {
		return tus.Bytes(data[:1000]).Open(context.Background(), 0)
	})
	wantError(t, err, tus.ErrSourceChanged)
}

// unreadable blocks each Read until it is closed.
type unreadable chan struct{}

func (r unreadable) Read([]byte) (int, error) { <-r; return 0, os.ErrClosed }
func (r unreadable) Close() error             { close(r); return nil }

func TestDigest_HangingReadEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
	defer cancel()
	res, err := resumeWithDigest(ctx, t, tustest.NewServer(t, nil), randomBytes(1_000_000), nil,
		func() (io.ReadCloser, error) { return make(unreadable), nil })
	wantError(t, err, context.DeadlineExceeded)
	if res.Digest != "" {
		t.Errorf("digest is %q", res.Digest)
	}
}

func TestDigest_HangingReadEndsWithSourceTimeout(t *testing.T) {
	_, err := resumeWithDigest(testContext(t), t, tustest.NewServer(t, nil), randomBytes(1_000_000),
		&tus.Options{SourceTimeout: 50 * time.Millisecond}, func() (io.ReadCloser, error) { return make(unreadable), nil })
	wantError(t, err, os.ErrDeadlineExceeded)
}

func TestDigest_PanicOfReaderIsRepeated(t *testing.T) {
	defer func() {
		if got := recover(); got != "a bug" {
			t.Errorf("recovered %v", got)
		}
	}()
	_, err := resumeWithDigest(testContext(t), t, tustest.NewServer(t, nil), randomBytes(1_000_000), nil,
		func() (io.ReadCloser, error) { panic("a bug") })
	t.Errorf("no panic, error %v", err)
}

// A Pause while the stored state is compared ends that, and the next Run repeats it.
func TestDigest_PauseDuringComparison(t *testing.T) {
	data := randomBytes(1_000_000)
	srv, opts := tustest.NewServer(t, nil), attributesOnly()
	digestStopped(t, srv, opts, tus.Bytes(data), *digested(tus.UploadOptions{}))
	var u *tus.Uploader
	var opened atomic.Int32
	source := &startSource{tus.Bytes(data), func() (io.ReadCloser, error) {
		if opened.Add(1) == 1 {
			u.Pause()
			return make(unreadable), nil
		}
		return nil, nil
	}}
	u, err := newClient(t, srv.Endpoint(), opts).NewUploader(source, digested(tus.UploadOptions{}))
	wantNoError(t, err)
	_, err = u.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	if d := records(t, opts.Store)[0].Digest; d == nil || d.Offset != 600_000 {
		t.Errorf("digest of the record is %+v", d)
	}
	res, err := u.Run(testContext(t))
	wantNoError(t, err)
	wantDigest(t, srv.Handler, res, data)
	if n := opened.Load(); n != 2 {
		t.Errorf("%d readers were opened", n)
	}
}

// replacedSource is a source that another one replaces.
type replacedSource struct {
	atomic.Pointer[tus.Source]
}

func (s *replacedSource) Stat(ctx context.Context) (tus.SourceInfo, error) {
	return (*s.Load()).Stat(ctx)
}

func (s *replacedSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	return (*s.Load()).Open(ctx, offset)
}

func (s *replacedSource) set(source tus.Source) *replacedSource { s.Store(&source); return s }

// A stored upload is gone after bytes were hashed, and the source is replaced before it is
// inspected again.
func TestDigest_OfReplacedSourceStartsFromZero(t *testing.T) {
	data := randomBytes(1_200_000)
	before, after := data[:1_000_000], data[100_000:]
	srv, opts := tustest.NewServer(t, nil), attributesOnly()
	digestStopped(t, srv, opts, tus.Bytes(before), tus.UploadOptions{})
	source := new(replacedSource).set(tus.Bytes(before))
	srv.Inject(tustest.Fault{Method: http.MethodPatch, Action: faults.Vanish()})
	opts.Hooks.AfterResponse = func(_ *http.Request, r *tus.Response) {
		if r.StatusCode >= 400 {
			source.set(tus.Bytes(after))
		}
	}
	how := tus.UploadOptions{ChunkSize: 300_000}
	res, err := newClient(t, srv.Endpoint(), opts).Upload(testContext(t), source, digested(how))
	wantNoError(t, err)
	wantDigest(t, srv.Handler, res, after)
}

func TestDigest_OfEachJobOfBatch(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	jobs := []tus.Job{
		{Source: tus.Bytes(randomBytes(1000)), Options: digested(tus.UploadOptions{})},
		{Source: tus.Bytes(randomBytes(2000)), Options: digested(tus.UploadOptions{})},
	}
	for res, err := range client.UploadAll(testContext(t), slices.Values(jobs), 2) {
		wantNoError(t, err)
		wantDigest(t, srv.Handler, res, randomBytes(int(res.Size)))
	}
}
