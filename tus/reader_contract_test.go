package tus_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestReader_ContractViolationEndsUpload(t *testing.T) {
	data := randomBytes(3000)
	// after returns the data up to n, and then the results of a function.
	after := func(n int, then readerFunc) func(int64) io.Reader {
		return func(offset int64) io.Reader {
			return io.MultiReader(bytes.NewReader(data[min(offset, int64(n)):n]), then)
		}
	}
	for name, test := range map[string]struct {
		open func(int64) io.Reader
		want error
	}{
		"an error at once":      {after(0, func([]byte) (int, error) { return 0, errUnplugged }), errUnplugged},
		"a later error":         {after(1700, func([]byte) (int, error) { return 0, errUnplugged }), errUnplugged},
		"an early end":          {after(1700, func([]byte) (int, error) { return 0, io.EOF }), tus.ErrSourceChanged},
		"an end at once":        {after(0, func([]byte) (int, error) { return 0, io.EOF }), tus.ErrSourceChanged},
		"one byte too few":      {after(2999, func([]byte) (int, error) { return 0, io.EOF }), tus.ErrSourceChanged},
		"too large a count":     {after(1700, func(p []byte) (int, error) { return len(p) + 1, nil }), nil},
		"a negative count":      {after(1700, func([]byte) (int, error) { return -1, nil }), nil},
		"no bytes and no error": {after(1700, func([]byte) (int, error) { return 0, nil }), io.ErrNoProgress},
		"ErrSourceChanged":      {after(1700, func([]byte) (int, error) { return 0, fmt.Errorf("%w: by the reader", tus.ErrSourceChanged) }), tus.ErrSourceChanged},
	} {
		for _, opts := range []*tus.UploadOptions{nil, whole(), chunked()} {
			t.Run(name, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, test.open}, opts)
				if err == nil {
					t.Fatal("upload succeeded")
				}
				if test.want != nil {
					wantError(t, err, test.want)
				}
				if tus.IsRetryable(err) || res.Stats.Retries != 0 {
					t.Errorf("after %d retries: %v", res.Stats.Retries, err)
				}
				wantNoMix(t, srv, data)
			})
		}
	}
}

func TestReader_ErrorWithLastBytesEndsUpload(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, func(offset int64) io.Reader {
		rest := data[offset:]
		return readerFunc(func(p []byte) (n int, err error) {
			n = copy(p, rest)
			if rest = rest[n:]; len(rest) == 0 {
				err = errUnplugged
			}
			return n, err
		})
	}}, whole())
	wantError(t, err, errUnplugged)
	wantNoMix(t, srv, data)
}

func TestReader_ShortReadsAreFine(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	calls := 0
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, func(offset int64) io.Reader {
		rest := bytes.NewReader(data[offset:])
		return readerFunc(func(p []byte) (int, error) {
			if calls++; calls%3 == 0 {
				return 0, nil // discouraged by io.Reader, but allowed
			}
			return rest.Read(p[:min(len(p), 7)])
		})
	}}, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestReader_EOFWithLastBytesIsFine(t *testing.T) {
	data := randomBytes(3000)
	srv := tustest.NewServer(t, nil)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), readerSource{3000, func(offset int64) io.Reader {
		rest := data[offset:]
		return readerFunc(func(p []byte) (n int, err error) {
			n = copy(p, rest)
			if rest = rest[n:]; len(rest) == 0 {
				err = io.EOF
			}
			return n, err
		})
	}}, chunked())
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

// TestReader_IsNotReadAfterEnd ends an upload while it reads a source that needs a second
// for each Read, and whose Close ends no Read.
func TestReader_IsNotReadAfterEnd(t *testing.T) {
	const size = 20 << 20
	checked := tus.Options{
		Checksums:    checksum.Builtin(),
		Capabilities: &tus.Capabilities{Extensions: []string{"creation", "checksum"}, ChecksumAlgorithms: []string{"crc32"}},
	}
	of := func(sequential bool) func(io.Reader) tus.Source {
		return func(r io.Reader) tus.Source {
			return &hookedSource{
				Source:     readerSource{size, func(int64) io.Reader { return r }},
				changeInfo: func(info *tus.SourceInfo) { info.Sequential = sequential },
			}
		}
	}
	stored := tus.Options{Store: &storage.Memory{}, Fingerprinter: fingerprint.Sample{}}
	for name, test := range map[string]struct {
		source func(io.Reader) tus.Source
		client tus.Options
		each   int // bytes of a Read
	}{
		"hashing":              {of(false), checked, 1},
		"hashing sequentially": {of(true), checked, 1},
		"fingerprinting":       {of(false), stored, 1},
		"between samples":      {of(true), stored, 256 << 10},
		"reading a stream":     {tus.Reader, tus.Options{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				var mu sync.Mutex
				var reads []time.Time
				source := test.source(readerFunc(func(p []byte) (int, error) {
					mu.Lock()
					reads = append(reads, time.Now())
					mu.Unlock()
					<-time.After(time.Second)
					return min(test.each, len(p)), nil
				}))
				ctx, cancel := context.WithTimeout(t.Context(), 10500*time.Millisecond)
				defer cancel()
				end, _ := ctx.Deadline()
				_, err := newClient(&test.client).Upload(ctx, source, chunked())
				wantError(t, err, context.DeadlineExceeded)
				<-time.After(time.Hour)
				if last := reads[len(reads)-1]; len(reads) < 5 || last.After(end) {
					t.Errorf("last of %d reads began %v after the end", len(reads), last.Sub(end))
				}
			})
		})
	}
}

func TestReadSeeker_SeekErrorEndsUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.ReadSeeker(stuckSeeker{}, 3000), chunked())
	wantError(t, err, errUnplugged)
	if bytesReceived(srv) != 0 {
		t.Errorf("%d bytes were sent", bytesReceived(srv))
	}
}

type stuckSeeker struct{ io.Reader }

func (stuckSeeker) Seek(int64, int) (int64, error) { return 0, errUnplugged }
