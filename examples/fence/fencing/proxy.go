package fencing

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// Proxy returns a reverse proxy to the tus server at a URL. A [Fence] with an ordinary proxy
// would not know when the server has stopped: a canceled request closes the connection, and
// the server still stores what its socket has received. This proxy sends PATCH with chunked
// encoding and ends the body properly whenever that of the client ends early. The response
// then says that the server has stored what it received.
//
// It cannot know that if its connection to the server breaks. It should run next to the
// server. A nil transport means one without an HTTP proxy.
func Proxy(target *url.URL, transport http.RoundTripper) http.Handler {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.Proxy = nil
		own.DisableCompression = true
		own.MaxIdleConnsPerHost = 100
		transport = own
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // servers form Location of it
			p.SetXForwarded()
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values := p.In.Header.Values(name); len(values) > 0 { // of a proxy before this one
					p.Out.Header[name] = values
				}
			}
			p.Out.Trailer = p.In.Trailer // a checksum; it is set at the end of the body
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if methodOf(r) != http.MethodPatch || r.ContentLength == 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		r = r.WithContext(ctx)
		r.ContentLength = -1 // chunked encoding
		r.Body = &properEnd{r.Body}
		proxy.ServeHTTP(w, r)
	})
}

// properEnd is a body that ends without an error.
type properEnd struct{ io.ReadCloser }

func (b *properEnd) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}
