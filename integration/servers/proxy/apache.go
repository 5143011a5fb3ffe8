//go:build unix

package proxy

// apache returns Apache with mod_proxy_http, which passes requests on as they arrive.
func apache() []kind {
	return []kind{{
		name:    "Apache",
		setup:   "Set ProxyPreserveHost to On, X-Forwarded-Proto with RequestHeader, and `retry=0` in ProxyPass (by default it answers 503 for a minute after the server was down); it streams, and LimitRequestBody does not apply to it; `mod_reqtimeout` ends bodies slower than 500 B/s.",
		program: "apache2", from: "apt-get install apache2", version: "-v",
		file: "apache2.conf",
		args: []string{"-DFOREGROUND", "-f", "FILE"},
		config: `
ServerRoot {{.Dir}}
DefaultRuntimeDir {{.Dir}}
PidFile {{.Dir}}/apache.pid
ServerName 127.0.0.1
Listen {{.Addr}}
ErrorLog /dev/stderr
LogLevel error
{{- if .Root}}
User www-data
Group www-data
{{- end}}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500
ProxyPreserveHost On
RequestHeader set X-Forwarded-Proto http
ProxyPass / http://{{.Backend}}/ retry=0
`,
	}}
}
