package tus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
)

// Why a request got no response.

// connectError is why a request got no connection, and so was not sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// proxyError is a response of a proxy that refused to connect to the server.
type proxyError struct {
	code   int
	status string // code and reason, as the proxy sent them
}

func (e *proxyError) Error() string {
	return "proxy refuses to connect to the server: " + excerpt(e.status)
}

// wantsLogin reports whether a proxy refused a connection for lack of credentials. A
// transport other than that of [NewTransport] shows it only in the text.
func wantsLogin(err error) bool {
	var proxy *proxyError
	var connect *connectError
	if errors.As(err, &proxy) {
		return proxy.code == http.StatusProxyAuthRequired
	}
	return errors.As(err, &connect) && connect.Error() == http.StatusText(http.StatusProxyAuthRequired)
}

// unsentError is why a request failed before it was sent: the context ended, or the source
// could not be opened.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// unsent reports whether nothing of a request was sent, for example because there was no
// connection.
func unsent(err error) bool {
	var e *unsentError
	var connect *connectError
	var dial *net.OpError // of a transport that is not one of net/http
	return errors.As(err, &e) || errors.As(err, &connect) || errors.As(err, &dial) && dial.Op == "dial"
}

// temporaryCause reports whether a request without a response may succeed later. Permanent
// are only certificates and the wrong kind of server.
func temporaryCause(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var hook *hookError
	switch {
	case err == nil, errors.As(err, &hook), wantsLogin(err):
		return false
	case outOfDescriptors(err):
		return true
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), refusedByTLS(err):
		return false
	case errors.Is(err, ErrSourceChanged), errors.Is(err, errSource):
		return false
	}
	return true
}

// refusedByTLS reports whether the handshake failed for a reason that stays: a
// certificate, or an alert of the server. Only a broken record and an error inside the
// server (alerts 20 and 80; RFC 8446, 6.2) may pass. crypto/tls does not export the type
// of an alert over TCP.
func refusedByTLS(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		remote    *net.OpError
	)
	if errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host) { // found by the caller's own verification
		return true
	}
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return false
	}
	alert := remote.Err.Error()
	return alert != tls.AlertError(20).Error() && alert != tls.AlertError(80).Error()
}
