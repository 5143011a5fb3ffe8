package progress

import (
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
		{dial(syscall.ENETUNREACH), "network is unreachable"},
		{dial(syscall.ECONNRESET), "connection reset by peer"},
		{dial(syscall.ETIMEDOUT), "connection timed out"},
		{dial(syscall.EMFILE), "too many open files"},
		{dial(&net.DNSError{Err: "no such host", IsNotFound: true}), "no such host"},
		{dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), "server misbehaving"},
		{&tus.Error{Err: fmt.Errorf("%w: no data", tus.ErrStalled)}, "connection stalled"},
		{&tus.Error{Err: fmt.Errorf("%w: no version", tus.ErrProtocol)}, "response violates the tus protocol"},
		{os.ErrDeadlineExceeded, "i/o timeout"},
		{io.ErrUnexpectedEOF, "connection closed"},
		{io.EOF, "connection closed"},
		{dial(syscall.EPIPE), "broken pipe"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "tls: first record does not look like a TLS handshake"},
		{errors.New("remote error: tls: bad certificate"), "remote error: tls: bad certificate"},
		{status(http.StatusServiceUnavailable), "service unavailable (503)"},
		{status(http.StatusInternalServerError), "internal server error (500)"},
		{status(http.StatusLocked), "locked (423)"},
		{status(http.StatusTooManyRequests), "too many requests (429)"},
		{status(http.StatusUnauthorized), "unauthorized (401)"},
		{status(http.StatusForbidden), "forbidden (403)"},
		{status(http.StatusNotFound), "not found (404)"},
		{status(http.StatusConflict), "conflict (409)"},
		{&tus.Error{StatusCode: 460, Err: tus.ErrChecksumMismatch}, "checksum mismatch (460)"},
		{status(520), "unexpected response (520)"},
		{status(http.StatusTeapot), "i'm a teapot (418)"},
		{errors.New("something\x1b[31m"), `something\x1b[31m`},
	} {
		if got := causeOf(test.err); got != test.want {
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
	if got := causeOf(err); got != "x509: certificate signed by unknown authority" {
		t.Errorf("%v is %q", err, got)
	}
}
