package httpx

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
)

// A Redactor takes the credentials of one client out of texts: those of its options,
// and those that were sent for a while, by a hook for example, when a server put
// them into a URL. That URL stays in use when they have been replaced. The methods
// may be called concurrently, but for those that add to it.
type Redactor struct {
	options Secrets

	mu     sync.Mutex
	echoed Secrets // at most maxEchoed
}

// maxEchoed bounds the memory that a server can make a client use.
const maxEchoed = 100

// AddHeader adds the values of the caller's header.
func (r *Redactor) AddHeader(h http.Header) { r.options.AddHeader(h) }

// AddLogin adds the userinfo of the caller's URL, which may be nil.
func (r *Redactor) AddLogin(user *url.Userinfo) { r.options.AddLogin(user) }

// URL returns RedactURL of u without the secrets: a server may repeat a token in a
// path.
func (r *Redactor) URL(u *url.URL) string { return r.all().URL(u) }

func (r *Redactor) all() Secrets {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.options.and(r.echoed)
}

// Sent returns what texts about req must not show: what it sends through client, to
// the server or a proxy, and what URL leaves out. The proxy is looked up by the
// first call of the function, as the caller's own may count its calls.
func (r *Redactor) Sent(client *http.Client, req *http.Request) func() Secrets {
	sent := r.all()
	sent.AddRequest(req, client.Jar)
	return sync.OnceValue(func() Secrets {
		sent.AddProxy(client.Transport, req)
		return sent
	})
}

// NoteEcho remembers which of the secrets show in a URL that a response named, but
// not in the URL of its request, which was the caller's choice.
func (r *Redactor) NoteEcho(sent Secrets, own, named *url.URL) {
	known := r.all()
	for _, secret := range sent.In(named) {
		if len(Secrets{secret}.In(own)) > 0 || slices.Contains(known, secret) {
			continue
		}
		r.mu.Lock()
		r.echoed = append(r.echoed, secret)
		r.echoed = r.echoed[max(0, len(r.echoed)-maxEchoed):]
		r.mu.Unlock()
	}
}
