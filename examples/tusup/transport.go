package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
)

// proxyURL is the URL of a proxy, which may have a password, or none.
type proxyURL string

// UnmarshalText returns an error for an invalid URL, without its text.
func (p *proxyURL) UnmarshalText(text []byte) error {
	*p = proxyURL(text)
	if *p == "none" {
		return nil
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("must be none, or a URL with http, https or socks5 and a host")
	}
	return nil
}

// capabilities are those of a server that the user gives in place of OPTIONS.
type capabilities struct{ *tus.Capabilities }

// UnmarshalText parses a list of extensions.
func (c *capabilities) UnmarshalText(text []byte) error {
	caps := &tus.Capabilities{Versions: []string{"1.0.0"}}
	known := []string{"creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "checksum-trailer", "termination", "concatenation"}
	list := strings.Split(string(text), ",")
	if string(text) == "none" {
		list = nil
	}
	for _, item := range list {
		name, algorithm, checksum := strings.Cut(strings.TrimSpace(item), ":")
		switch {
		case checksum && name == "checksum" && algorithm != "":
			caps.ChecksumAlgorithms = append(caps.ChecksumAlgorithms, algorithm)
		case checksum || name == "checksum":
			return errors.New("checksum requires an algorithm: checksum:sha1")
		case !slices.Contains(known, name):
			return errors.New("must be none, or a list of " + strings.Join(known, ", "))
		}
		if !slices.Contains(caps.Extensions, name) {
			caps.Extensions = append(caps.Extensions, name)
		}
	}
	c.Capabilities = caps
	return nil
}

// identified presents the client certificate to the origins that may know who the user is.
type identified struct {
	*http.Transport // without the certificate
	certified       *http.Transport
	origins         []string
}

// RoundTrip implements http.RoundTripper.
func (i identified) RoundTrip(r *http.Request) (*http.Response, error) {
	if slices.Contains(i.origins, originOf(r.URL.String())) {
		return i.certified.RoundTrip(r)
	}
	return i.Transport.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client.
func (i identified) CloseIdleConnections() {
	i.Transport.CloseIdleConnections()
	i.certified.CloseIdleConnections()
}

// httpClient returns the client for the flags of the connection, nil if none is set.
func (c *common) httpClient(p *program, endpoint string) (*http.Client, error) {
	if c.CA == "" && !c.Insecure && !c.Verbose && c.ClientCert == "" && c.ClientKey == "" && c.Proxy == "" && !c.HTTP2 && !c.Cookies && c.CookieFile == "" {
		return nil, nil
	}
	transport, err := c.transport(nil)
	if err != nil {
		return nil, err
	}
	log := requestLog{transport, p, c.secrets()}
	client := &http.Client{Transport: transport}
	if c.ClientCert != "" || c.ClientKey != "" {
		certificate, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
		if err != nil {
			return nil, usagef("--client-cert %s, --client-key %s: %w", c.ClientCert, c.ClientKey, err)
		}
		certified, err := c.transport([]tls.Certificate{certificate})
		if err != nil {
			return nil, err
		}
		i := identified{transport, certified, nil}
		for _, u := range append([]string{endpoint}, c.trustedOrigins()...) {
			i.origins = append(i.origins, originOf(u))
		}
		client.Transport, log.transport = i, i
	}
	if c.Verbose {
		client.Transport = log
	}
	if c.Cookies || c.CookieFile != "" {
		client.Jar, err = newCookieJar(c.CookieFile)
	}
	return client, err
}

// transport returns a transport for the flags of the connection.
func (c *connection) transport(certificates []tls.Certificate) (*http.Transport, error) {
	transport := tus.NewTransport()
	var err error
	if transport.TLSClientConfig, err = c.tlsConfig(certificates); err != nil {
		return nil, err
	}
	switch c.Proxy {
	case "":
	case "none":
		transport.Proxy = nil
	default:
		proxy, err := url.Parse(string(c.Proxy))
		if err != nil {
			return nil, usagef("--proxy: invalid URL")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	if c.HTTP2 {
		transport.Protocols.SetHTTP2(true)
	}
	return transport, nil
}

// tlsConfig returns the configuration for the certificate flags.
func (c *connection) tlsConfig(certificates []tls.Certificate) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: c.Insecure, Certificates: certificates}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, usagef("--ca: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--ca %s: no certificate in the file", c.CA)
		}
	}
	return config, nil
}
