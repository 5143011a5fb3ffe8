//go:build unix

package proxy

import "slices"

// VarnishDefaults is the name in the matrix of Varnish with its defaults, which breaks resuming.
const VarnishDefaults = "Varnish, defaults"

// varnish returns Varnish with its defaults, and as recommended.
func varnish() []kind {
	base := kind{
		program: "varnishd", from: "apt-get install varnish", version: "-V",
		file:   "default.vcl",
		args:   []string{"-j", "none", "-F", "-n", "DIR/varnish", "-a", "ADDR", "-f", "FILE", "-s", "malloc,16m", "-T", "none"},
		config: varnishConfig,
	}
	defaults, pass := base, base
	defaults.name, defaults.settings = VarnishDefaults, ""
	defaults.setup = "It turns HEAD into GET, and responses have no `Upload-Offset` then: add `sub vcl_recv { return (pass); }` for the path of the endpoint."
	pass.name, pass.settings = "Varnish, pass", "return (pass);"
	pass.args = append(slices.Clone(base.args), "-p", "timeout_idle=60")
	pass.setup = "Add `sub vcl_recv { return (pass); }` for the path of the endpoint, set `X-Forwarded-Proto`, and start it with `-p timeout_idle=60`: by default, a body that pauses for 5 seconds ends with 503."
	return []kind{defaults, pass}
}

const varnishConfig = `
vcl 4.1;
backend default {
	.host = "127.0.0.1";
	.port = "{{.BackendPort}}";
}
sub vcl_recv {
	set req.http.X-Forwarded-Proto = "http";
	set req.http.X-Forwarded-Host = req.http.Host;
	{{.Settings}}
}
`
