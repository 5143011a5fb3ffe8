// Package proxy runs reverse proxies on loopback before a tus server, for the matrix of package
// servers: nginx, HAProxy, Caddy, Apache, lighttpd, Varnish, Squid and Envoy, each as a user would
// install it. A proxy with settings that matter to uploads is there more than once.
//
// The tests upload through each of them, and measure what an interruption costs behind a proxy
// that buffers requests.
package proxy
