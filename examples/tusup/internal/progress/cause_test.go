package progress_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/progress"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestCause_IsShort(t *testing.T) {
	dial := func(err error) error {
		return &tus.Error{Method: "POST", URL: "http://example.org/", Err: &url.Error{Op: "Post", URL: "http://example.org/?secret",
			Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}}}
	}
	status := func(code int) error { return fmt.Errorf("wrapped: %w", &tus.Error{Method: "PATCH", StatusCode: code}) }
	for _, test := range []struct {
		err  error
		want string
	}{
		{dial(syscall.ECONNREFUSED), "connection refused"},
		{dial(syscall.EHOSTUNREACH), "no route to host"},
		{dial(syscall.ENETUNREACH), "network unreachable"},
		{dial(syscall.ECONNRESET), "connection reset"},
		{dial(syscall.ETIMEDOUT), "timeout"},
		{dial(syscall.EMFILE), "too many open files"},
		{dial(&net.DNSError{Err: "no such host", IsNotFound: true}), "host not found"},
		{dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), "name lookup failed"},
		{&tus.Error{Err: fmt.Errorf("%w: no data", tus.ErrStalled)}, "connection stalled"},
		{&tus.Error{Err: fmt.Errorf("%w: no version", tus.ErrProtocol)}, "invalid response"},
		{context.DeadlineExceeded, "timeout"},
		{io.ErrUnexpectedEOF, "connection closed"},
		{io.EOF, "connection closed"},
		{dial(syscall.EPIPE), "connection closed"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "TLS failed"},
		{errors.New("remote error: tls: bad certificate"), "TLS failed"},
		{status(http.StatusServiceUnavailable), "server error 503"},
		{status(http.StatusInternalServerError), "server error 500"},
		{status(http.StatusLocked), "server busy (423)"},
		{status(http.StatusTooManyRequests), "too many requests (429)"},
		{status(http.StatusUnauthorized), "unauthorized (401)"},
		{status(http.StatusForbidden), "unauthorized (403)"},
		{status(http.StatusNotFound), "not found (404)"},
		{status(http.StatusConflict), "offset conflict (409)"},
		{status(460), "checksum mismatch (460)"},
		{status(http.StatusTeapot), "unexpected response (418)"},
		{errors.New("No connection could be made because the target machine actively refused it."), "connection refused"},
		{errors.New("something else"), "request failed"},
	} {
		if got := progress.Cause(test.err); got != test.want {
			t.Errorf("%v is %q, want %q", test.err, got, test.want)
		}
	}
}

func TestCause_OfUntrustedCertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	_, err := http.Get(srv.URL)
	if got := progress.Cause(err); got != "TLS failed" {
		t.Errorf("%v is %q", err, got)
	}
}
