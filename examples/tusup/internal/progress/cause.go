package progress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/seed-175555ba/tus-go/tus"
)

// Cause returns a few words for the error of a request, without URL and addresses: they
// must fit into a row beside a name.
func Cause(err error) string {
	var e *tus.Error
	if errors.As(err, &e) && e.StatusCode != 0 {
		return statusCause(e.StatusCode)
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "host not found"
	case errors.As(err, &dns):
		return "name lookup failed"
	case isTLS(err):
		return "TLS failed"
	case errors.Is(err, tus.ErrStalled):
		return "connection stalled"
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, tus.ErrProtocol):
		return "invalid response"
	}
	for _, known := range []struct {
		err  error
		text string
	}{
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.EHOSTUNREACH, "no route to host"},
		{syscall.ENETUNREACH, "network unreachable"},
		{syscall.ECONNRESET, "connection reset"},
		{syscall.ECONNABORTED, "connection reset"},
		{syscall.EPIPE, "connection closed"},
		{io.ErrUnexpectedEOF, "connection closed"},
		{io.EOF, "connection closed"},
		{syscall.EMFILE, "too many open files"},
		{syscall.ENFILE, "too many open files"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	if strings.Contains(err.Error(), "refused") { // Windows has other error numbers
		return "connection refused"
	}
	return "request failed"
}

// statusCause is Cause for a response.
func statusCause(status int) string {
	if status >= 500 {
		return fmt.Sprintf("server error %d", status)
	}
	text := "unexpected response"
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		text = "unauthorized"
	case http.StatusProxyAuthRequired:
		text = "proxy requires authorization"
	case http.StatusNotFound, http.StatusGone:
		text = "not found"
	case http.StatusRequestTimeout:
		text = "timeout"
	case http.StatusConflict:
		text = "offset conflict"
	case http.StatusRequestEntityTooLarge:
		text = "too large"
	case http.StatusLocked:
		text = "server busy"
	case http.StatusTooManyRequests:
		text = "too many requests"
	case 460: // defined by the checksum extension
		text = "checksum mismatch"
	}
	return fmt.Sprintf("%s (%d)", text, status)
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	if s := err.Error(); strings.Contains(s, "tls: ") || strings.Contains(s, "HTTP response to HTTPS client") {
		return true // the type of an alert of the server is not exported
	}
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &timeout) && timeout.Timeout()
}
