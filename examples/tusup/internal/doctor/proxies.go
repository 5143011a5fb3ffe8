package doctor

import (
	"fmt"
	"strings"
)

// proxy is a proxy that names itself in its responses, and what to change in it.
type proxy struct {
	name   string
	marks  []string // in Via or Server, in lower case
	stream string   // that it does not buffer requests; empty if it cannot
	size   string   // that it accepts larger bodies
	head   string   // that it passes HEAD on; empty if it does
}

// proxies returns the known proxies. Some build on others and keep their settings.
func proxies() []proxy {
	return []proxy{
		{
			name: "nginx", marks: []string{"nginx", "openresty", "tengine"},
			stream: "set proxy_request_buffering off (ingress-nginx: the annotation proxy-request-buffering)",
			size:   "client_max_body_size 0 (ingress-nginx: the annotation proxy-body-size)",
		},
		{
			name: "lighttpd", marks: []string{"lighttpd"},
			stream: "set server.stream-request-body = 2", size: "server.max-request-size = 0",
		},
		{
			name: "Varnish", marks: []string{"varnish"},
			stream: "do not call std.cache_req_body", size: "the size in std.cache_req_body",
			head: "return (pass) in vcl_recv for the path of the endpoint",
		},
		{name: "Apache", marks: []string{"apache"}, stream: "set SecRequestBodyAccess Off (ModSecurity)", size: "SecRequestBodyLimit of ModSecurity"},
		{name: "Caddy", marks: []string{"caddy"}, stream: "remove request_buffers (or buffer_requests)", size: "max_size in request_body"},
		{name: "Envoy", marks: []string{"envoy"}, stream: "remove the buffer filter", size: "max_request_bytes in the buffer filter"},
		{name: "Squid", marks: []string{"squid"}, size: "request_body_max_size 0"},
		{name: "IIS", marks: []string{"microsoft-iis"}, size: "maxAllowedContentLength"},
	}
}

// nearest returns the proxy that sent r. It has no name if it is unknown. Via comes first: a
// proxy may pass on the Server of what is behind it.
func nearest(r *response) proxy {
	if r == nil {
		return proxy{}
	}
	hops := strings.Split(strings.Join(r.Header.Values("Via"), ","), ",")
	for _, text := range []string{hops[len(hops)-1], r.Header.Get("Server")} { // the last hop is the nearest
		for _, p := range proxies() {
			for _, mark := range p.marks {
				if strings.Contains(strings.ToLower(text), mark) {
					return p
				}
			}
		}
	}
	return proxy{}
}

// streamAdvice returns what to change in the proxy that sent r if requests are buffered.
func streamAdvice(r *response) string {
	if p := nearest(r); p.stream != "" {
		return fmt.Sprintf("in %s, %s, unless a proxy behind it buffers", p.name, p.stream)
	}
	return "do not buffer requests (nginx: proxy_request_buffering off; lighttpd: server.stream-request-body = 2; Traefik: no buffering middleware)"
}

// sizeAdvice returns what to change in the proxy that sent r if it refuses large bodies.
func sizeAdvice(r *response) string {
	if p := nearest(r); p.name != "" {
		return fmt.Sprintf("raise the limit (%s: %s)", p.name, p.size)
	}
	return "raise the limit of the proxy or server (nginx: client_max_body_size)"
}

// headAdvice returns what to change if the response r to HEAD has no Upload-Offset.
func headAdvice(r *response) string {
	if p := nearest(r); p.head != "" {
		return fmt.Sprintf("%s turns HEAD into GET by default: %s", p.name, p.head)
	}
	return "check the server, and that no proxy changes HEAD"
}
