//go:build unix

package proxy

// haproxy returns HAProxy, which passes requests on as they arrive.
func haproxy() []kind {
	return []kind{{
		name:    "HAProxy",
		setup:   "Nothing has to be set for size or buffering: `timeout client` and `timeout server` limit silence, and should be 30s or more; set `X-Forwarded-Proto` for upload URLs.",
		program: "haproxy", from: "apt-get install haproxy", version: "-v",
		file: "haproxy.cfg",
		args: []string{"-db", "-f", "FILE"},
		config: `
global
	maxconn 500
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend in
	bind {{.Addr}}
	option forwardfor
	http-request set-header X-Forwarded-Proto http
	http-request set-header X-Forwarded-Host %[req.hdr(Host)]
	default_backend tus
backend tus
	server tus {{.Backend}}
`,
	}}
}
