package httpx

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// A Redactor removes the credentials of one client from texts: those of its options, and
// those that a request sent, for example by a hook, if the server repeated them in a URL.
// That URL stays in use after the credentials were replaced. AddHeader and AddLogin must
// not be called concurrently with other methods.
type Redactor struct {
	options Secrets

	mu     sync.Mutex
	echoed Secrets // at most maxEchoed, repeated by the server
}

// maxEchoed limits the memory that a server can cause a client to use.
const maxEchoed = 100

// AddHeader adds the values of the caller's header.
func (r *Redactor) AddHeader(h http.Header) { r.options.AddHeader(h) }

// AddLogin adds the userinfo of the caller's URL, which may be nil.
func (r *Redactor) AddLogin(user *url.Userinfo) { r.options.AddLogin(user) }

// URL returns RedactURL of u without the secrets: a server may repeat a token in a path.
func (r *Redactor) URL(u *url.URL) string { return r.all().URL(u) }

func (r *Redactor) all() Secrets {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.options.and(r.echoed)
}

// Sent returns the secrets that texts about req must not contain: those that it sends
// through client, to the server or a proxy, and those that URL removes. The returned
// function looks up the proxy in its first call only: the caller's Proxy function may
// have side effects.
func (r *Redactor) Sent(client *http.Client, req *http.Request) func() Secrets {
	sent := r.all()
	sent.AddRequest(req, client.Jar)
	return sync.OnceValue(func() Secrets {
		sent.AddProxy(client.Transport, req)
		return sent
	})
}

// NoteEcho keeps the secrets in location, a URL from a response, that are not in
// requested, the URL of its request, which the caller chose.
func (r *Redactor) NoteEcho(sent Secrets, requested, location *url.URL) {
	known := r.all()
	for _, secret := range sent.In(location) {
		if len(Secrets{secret}.In(requested)) > 0 || slices.Contains(known, secret) {
			continue
		}
		r.mu.Lock()
		r.echoed = append(r.echoed, secret)
		r.echoed = r.echoed[max(0, len(r.echoed)-maxEchoed):]
		r.mu.Unlock()
	}
}
