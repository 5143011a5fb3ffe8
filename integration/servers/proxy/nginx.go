//go:build unix

package proxy

// Names of the matrix.
const (
	// NginxDefaults refuses bodies above 1 MiB, and buffers requests.
	NginxDefaults = "nginx, defaults"
	// NginxBuffering has default settings but for the body limit.
	NginxBuffering = "nginx, body limit raised"
	// NginxStreaming passes requests on as they arrive.
	NginxStreaming = "nginx, no buffering"
)

// nginx returns nginx with its defaults, with a raised limit, as recommended, and with TLS.
func nginx() []kind {
	const (
		raised    = "client_max_body_size 0;"
		streaming = raised + " proxy_request_buffering off; proxy_http_version 1.1;"
	)
	base := kind{
		program: "nginx", from: "apt-get install nginx-light", version: "-v",
		file: "nginx.conf",
		args: []string{"-p", "DIR", "-e", "stderr", "-c", "FILE"}, config: nginxConfig,
	}
	with := func(name, settings, setup string) kind {
		k := base
		k.name, k.settings, k.setup = name, settings, setup
		return k
	}
	defaults := with(NginxDefaults, "",
		"It refuses bodies above 1 MiB and buffers requests: set `client_max_body_size 0` and `proxy_request_buffering off`; until then use `--min-chunk-size 64KiB`, which finds the limit, or `--chunk-size 1MiB`.")
	defaults.flags = []string{"--min-chunk-size", "64KiB"}
	tls := with("nginx, TLS and HTTP/2", streaming,
		"As `nginx, no buffering`, with `proxy_set_header X-Forwarded-Proto $scheme` so that upload URLs are https; HTTP/2 is used with `--http2` only.")
	tls.tls, tls.flags = true, []string{"--http2"}
	return []kind{
		defaults,
		with(NginxBuffering, raised,
			"`client_max_body_size 0` is set, but an interrupted request is lost as a whole: set `proxy_request_buffering off` and `proxy_http_version 1.1`; until then, requests become smaller after an interruption."),
		with(NginxStreaming, streaming,
			"Set `client_max_body_size 0`, `proxy_request_buffering off`, `proxy_http_version 1.1`, and pass Host and `X-Forwarded-Proto` on; `client_body_timeout` and `proxy_read_timeout` limit silence and may stay at 60s."),
		tls,
	}
}

const nginxConfig = `
daemon off;
master_process off;
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events {}
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	server {
{{- if .Certificate}}
		listen {{.Addr}} ssl http2;
		ssl_certificate {{.Certificate}};
		ssl_certificate_key {{.Key}};
{{- else}}
		listen {{.Addr}};
{{- end}}
		location / {
			proxy_pass http://{{.Backend}};
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			{{.Settings}}
		}
	}
}
`
