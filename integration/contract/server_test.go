package contract_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// scriptedServer plays the responses of a script, and records what does not follow it.
type scriptedServer struct {
	pipes   chan net.Conn
	http    http.Server
	serving sync.WaitGroup
	done    chan struct{}

	mu       sync.Mutex
	offers   server
	data     []byte
	script   []*exchange // that have not taken place
	failures []string
	ids      map[string]bool
	lastID   string
	idHeader string
	failed   func()             // called after a failure
	event    func(event string) // called with "request", the method and the path
}

func startServer() *scriptedServer {
	s := &scriptedServer{pipes: make(chan net.Conn), done: make(chan struct{}), ids: map[string]bool{}}
	s.http.Handler = s
	s.serving.Go(func() { s.http.Serve(s) })
	return s
}

func (s *scriptedServer) close() {
	close(s.done)
	s.serving.Wait()
	s.http.Close()
}

// prepare lets the server play the script of a call.
func (s *scriptedServer) prepare(call scenario, script []*exchange, failed func(), event func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.offers, s.data, s.idHeader = script, call.server, call.source.data(), call.requestID
	s.failed, s.event = failed, event
}

// finish returns what did not follow the script of a call.
func (s *scriptedServer) finish() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	problems := s.failures
	for _, e := range s.script {
		if !e.optional && len(problems) == 0 {
			problems = append(problems, "no request "+e.text)
		}
	}
	return problems
}

// dial connects to the server, whatever the address.
func (s *scriptedServer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case s.pipes <- server:
		return client, nil
	case <-s.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (s *scriptedServer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.pipes:
		return conn, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *scriptedServer) Close() error { return nil }

// Addr implements net.Listener.
func (s *scriptedServer) Addr() net.Addr { return &net.TCPAddr{} }

// ServeHTTP implements http.Handler.
func (s *scriptedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has closed the connection
	}
	if r.Method == http.MethodOptions {
		s.options(w, r)
		return
	}
	e := s.take(r, body)
	if e == nil {
		s.failed()
		e = &exchange{status: http.StatusBadRequest, body: "not in the script"}
	}
	s.event("request " + r.Method + " " + relative("http://"+r.Host+r.URL.RequestURI()))
	switch e.action {
	case "hang":
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		return
	case "cut":
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Tus-Resumable", "1.0.0")
	if r.Method == http.MethodHead {
		w.Header().Set("Cache-Control", "no-store")
	}
	for _, name := range e.omit {
		w.Header().Del(name)
	}
	for _, f := range e.header {
		w.Header().Set(f.name, f.value)
	}
	w.WriteHeader(e.status)
	if e.body != "" {
		io.WriteString(w, e.body)
	}
}

// options responds to OPTIONS.
func (s *scriptedServer) options(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Tus-Resumable") != "" {
		s.failures = append(s.failures, "OPTIONS has Tus-Resumable")
	}
	if s.offers.status != 0 {
		w.WriteHeader(s.offers.status)
		return
	}
	h := w.Header()
	h.Set("Tus-Resumable", "1.0.0")
	h.Set("Tus-Version", "1.0.0")
	h.Set("Tus-Extension", cmp.Or(s.offers.extensions, defaultExtensions))
	for name, value := range map[string]string{
		"Tus-Max-Size": s.offers.maxSize, "Tus-Checksum-Algorithm": s.offers.algorithms,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// take removes the exchange of a request from the script. It returns nil if the request is not
// one that may come next.
func (s *scriptedServer) take(r *http.Request, body []byte) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	problems := s.violations(r, body)
	var expected []string
	for _, e := range s.next() {
		differences := e.differences(r, body, s.data)
		if len(differences) == 0 {
			if len(problems) > 0 {
				s.failures = append(s.failures, fmt.Sprintf("%s: %s", e.text, strings.Join(problems, ", ")))
				return nil
			}
			s.remove(e)
			return e
		}
		expected = append(expected, fmt.Sprintf("%s: %s", e.text, strings.Join(differences, ", ")))
	}
	s.failures = append(s.failures, fmt.Sprintf("unexpected %s %s %v with %d bytes; expected %s",
		r.Method, r.URL, r.Header, len(body), cmp.Or(strings.Join(expected, "; or "), "no request")))
	return nil
}

// next returns the exchanges that may take place now.
func (s *scriptedServer) next() (next []*exchange) {
	blocked := map[string]bool{} // sequences with an exchange that has to come before
	for _, e := range s.script {
		if blocked[""] || blocked[e.sequence] || e.sequence == "" && len(blocked) > 0 {
			if e.sequence == "" {
				break
			}
			continue
		}
		next = append(next, e)
		if !e.optional {
			blocked[e.sequence] = true
		}
	}
	return next
}

// remove removes an exchange that took place, and the optional ones before it.
func (s *scriptedServer) remove(taken *exchange) {
	at := slices.Index(s.script, taken)
	s.script = slices.Concat(slices.DeleteFunc(slices.Clone(s.script[:at]), func(e *exchange) bool {
		return taken.sequence == "" || e.sequence == taken.sequence
	}), s.script[at+1:])
}

// violations returns what the protocol does not allow in any request, and IDs that are used
// twice.
func (s *scriptedServer) violations(r *http.Request, body []byte) (problems []string) {
	if v := r.Header.Get("Tus-Resumable"); v != "1.0.0" {
		problems = append(problems, fmt.Sprintf("Tus-Resumable is %q", v))
	}
	method := cmp.Or(r.Header.Get("X-HTTP-Method-Override"), r.Method)
	const chunk = "application/offset+octet-stream"
	needed := method == http.MethodPatch || len(body) > 0
	if v := r.Header.Get("Content-Type"); v != chunk && (needed || v != "") {
		problems = append(problems, fmt.Sprintf("Content-Type is %q", v))
	}
	if v := r.ContentLength; v != int64(len(body)) && len(r.Trailer) == 0 {
		problems = append(problems, fmt.Sprintf("Content-Length is %d", v))
	}
	if method == http.MethodPost {
		n := 0
		for _, name := range []string{"Upload-Length", "Upload-Defer-Length"} {
			n += len(r.Header.Values(name))
		}
		if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final") != (n == 0) || n > 1 {
			problems = append(problems, fmt.Sprintf("%d lengths", n))
		}
	}
	if s.idHeader != "" {
		id := r.Header.Get(s.idHeader)
		if s.ids[id] {
			problems = append(problems, "the ID is used twice")
		}
		s.ids[id], s.lastID = true, id
	}
	return problems
}

// differences returns what is not in a request as in the script.
func (e *exchange) differences(r *http.Request, body, data []byte) (d []string) {
	if url := "http://" + r.Host + r.URL.RequestURI(); r.Method != e.method || url != e.url {
		d = append(d, "is "+r.Method+" "+url)
	}
	listed := map[string]bool{}
	for _, f := range e.fields {
		listed[http.CanonicalHeaderKey(f.name)] = true
		got := r.Header.Values(f.name)
		if len(got) != 1 || !sameValue(f, got[0]) {
			d = append(d, fmt.Sprintf("%s is %q", f.name, got))
		}
	}
	for name, got := range r.Header {
		if (strings.HasPrefix(name, "Upload-") || name == "X-Http-Method-Override") && !listed[name] {
			d = append(d, fmt.Sprintf("%s is %q", name, got))
		}
	}
	for _, name := range e.absent {
		if got, ok := r.Header[http.CanonicalHeaderKey(name)]; ok {
			d = append(d, fmt.Sprintf("%s is %q", name, got))
		}
	}
	if len(r.Trailer) != len(e.trailer) {
		d = append(d, fmt.Sprintf("the trailer is %v", r.Trailer))
	}
	for _, f := range e.trailer {
		if got := r.Trailer.Get(f.name); got != f.value {
			d = append(d, fmt.Sprintf("the trailer %s is %q", f.name, got))
		}
	}
	if e.to > len(data) || !bytes.Equal(body, data[e.from:e.to]) {
		d = append(d, "the body is "+strconv.Quote(string(body)))
	}
	return d
}

// sameValue compares a field of a request with that of the script.
func sameValue(f field, got string) bool {
	switch {
	case f.value == "*":
		return got != ""
	case f.name == "Upload-Metadata":
		return slices.Equal(pairs(f.value), pairs(got))
	case f.name == "Upload-Concat":
		return slices.Equal(urls(f.value), urls(got))
	}
	return f.value == got
}

// pairs returns the sorted pairs of Upload-Metadata. The space before an empty value is
// optional.
func pairs(value string) []string {
	all := strings.Split(value, ",")
	for i, pair := range all {
		all[i] = strings.TrimSuffix(pair, " ")
	}
	slices.Sort(all)
	return all
}

// urls returns the role and the URLs of Upload-Concat.
func urls(value string) []string {
	role, list, _ := strings.Cut(value, ";")
	all := []string{role}
	for _, u := range strings.Split(list, " ") {
		all = append(all, absolute(u))
	}
	return all
}
