//go:build unix

package proxy

// caddy returns Caddy, which passes requests on as they arrive.
func caddy() []kind {
	return []kind{{
		name:    "Caddy",
		setup:   "Nothing has to be set: `reverse_proxy` streams, has no body limit, and sends `X-Forwarded-*`; leave `request_buffers` and `request_body max_size` out.",
		program: "caddy", from: "apt-get install caddy", version: "version",
		file: "Caddyfile",
		args: []string{"run", "--adapter", "caddyfile", "--config", "FILE"},
		env:  []string{"XDG_DATA_HOME=", "XDG_CONFIG_HOME="}, // it writes below HOME, which is DIR
		config: `
{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://:{{.Port}} {
	bind 127.0.0.1
	reverse_proxy {{.Backend}}
}
`,
	}}
}
