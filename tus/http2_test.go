package tus_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// http2Server starts a tus server with HTTP/2, and returns options of a client.
func http2Server(t *testing.T) (*tustest.Handler, string, *tus.Options) {
	t.Helper()
	h := tustest.NewHandler(nil)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("request over %s", r.Proto)
		}
		h.ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	t.Cleanup(h.Release)
	return h, srv.URL + "/files/", &tus.Options{HTTPClient: srv.Client()}
}

// hangingSeeker returns some bytes and then hangs until it is released.
type hangingSeeker struct {
	at      int64
	release chan struct{}
}

func (s *hangingSeeker) Seek(offset int64, _ int) (int64, error) { s.at = offset; return offset, nil }

func (s *hangingSeeker) Read(p []byte) (int, error) {
	if s.at >= 1<<16 {
		<-s.release
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), 1<<16-int(s.at))
	s.at += int64(n)
	return n, nil
}

// A response that comes while the source blocks ends the request at once: closing the
// body must not wait for the Read.
func TestPatch_EarlyRefusalDoesNotWaitForSource(t *testing.T) {
	refuse := func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
		io.ReadFull(r.Body, make([]byte, 1000))
		w.Header().Set("Connection", "close") // HTTP/1: do not read the rest
		http.Error(w, "quota", http.StatusForbidden)
	}
	upload := func(t *testing.T, client *tus.Client, h *tustest.Handler) {
		t.Helper()
		h.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: refuse})
		source := &hangingSeeker{release: make(chan struct{})}
		defer close(source.release)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := client.Upload(ctx, tus.ReadSeeker(source, 1<<20), whole())
		if errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 5*time.Second {
			t.Errorf("returned after %v: %v", time.Since(begin), err)
		}
		wantError(t, err, tus.ErrUnauthorized)
	}
	t.Run("HTTP/1", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		upload(t, newClient(t, srv.Endpoint(), nil), srv.Handler)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		h, endpoint, options := http2Server(t)
		upload(t, newClient(t, endpoint, options), h)
	})
}
