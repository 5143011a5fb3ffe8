//go:build unix

package proxy

// squid returns Squid as a reverse proxy.
func squid() []kind {
	return []kind{{
		name:    "Squid",
		setup:   "Set `cache deny all` for the endpoint and `request_header_add X-Forwarded-Proto`; bodies are streamed, and `request_body_max_size` is unlimited by default.",
		program: "squid", from: "apt-get install squid", version: "-v",
		file: "squid.conf",
		args: []string{"-N", "-f", "FILE"},
		config: `
http_port {{.Addr}} accel
cache_peer 127.0.0.1 parent {{.BackendPort}} 0 no-query no-digest originserver name=tus
never_direct allow all
http_access allow all
cache deny all
cache_mem 8 MB
request_header_add X-Forwarded-Proto http all
access_log none
cache_log /dev/stderr
cache_store_log none
pid_filename none
pinger_enable off
coredump_dir {{.Dir}}
visible_hostname localhost
shutdown_lifetime 0 seconds
`,
	}}
}
