package tus_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

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
