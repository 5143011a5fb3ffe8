package tus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
)

// Errors of requests without a response.

// proxyError is the response of a proxy that refused to connect to the server.
type proxyError struct {
	code   int
	status string // code and reason, as the proxy sent them
}

func (e *proxyError) Error() string {
	return "proxy refuses to connect to the server: " + excerpt(e.status)
}

// needsProxyLogin reports whether a proxy refused a connection for lack of credentials. The
// error of a transport that is not from [NewTransport] has the status only in its text.
func needsProxyLogin(err error) bool {
	var proxy *proxyError
	var e *unsentError
	if errors.As(err, &proxy) {
		return proxy.code == http.StatusProxyAuthRequired
	}
	return errors.As(err, &e) && e.Error() == http.StatusText(http.StatusProxyAuthRequired)
}

// unsentError is the cause of a request that failed before it was sent: the context ended,
// the source could not be opened, or there was no connection.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// unsent reports whether nothing of a request was sent.
func unsent(err error) bool {
	var e *unsentError
	var dial *net.OpError // of a transport that is not one of net/http
	return errors.As(err, &e) || errors.As(err, &dial) && dial.Op == "dial"
}

// temporaryCause reports whether a request without a response may succeed later. Errors of
// the network are permanent only if they are about a certificate, a proxy login or a server
// that does not speak the protocol.
func temporaryCause(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var hook *hookError
	switch {
	case err == nil, errors.As(err, &hook), needsProxyLogin(err):
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

// refusedByTLS reports whether the handshake failed permanently: because of a certificate,
// or with an alert of the server. Only a corrupt record and an error inside the server
// (alerts 20 and 80; RFC 8446, 6.2) are temporary. crypto/tls does not export the type of
// an alert over TCP.
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
