//go:build unix

package proxy

// LighttpdBuffering is the name in the matrix of lighttpd with its defaults: it buffers requests.
const LighttpdBuffering = "lighttpd, defaults"

// lighttpd returns lighttpd with its defaults, and as recommended.
func lighttpd() []kind {
	base := kind{
		program: "lighttpd", from: "apt-get install lighttpd", version: "-v",
		file: "lighttpd.conf",
		args: []string{"-D", "-f", "FILE"}, config: lighttpdConfig,
	}
	buffering, streaming := base, base
	buffering.name, buffering.settings = LighttpdBuffering, ""
	buffering.setup = "It buffers requests, so an interrupted request is lost as a whole: set `server.stream-request-body = 2`; until then, requests become smaller after an interruption."
	streaming.name, streaming.settings = "lighttpd, streaming", "server.stream-request-body = 2"
	streaming.setup = "Set `server.stream-request-body = 2`; `server.max-request-size` is unlimited by default; `server.max-read-idle` limits silence and may stay at 60."
	return []kind{buffering, streaming}
}

const lighttpdConfig = `
server.modules = ( "mod_proxy" )
server.document-root = "{{.Dir}}"
server.upload-dirs = ( "{{.Dir}}" )
server.bind = "127.0.0.1"
server.port = {{.Port}}
{{.Settings}}
proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {{.BackendPort}} )) )
`
