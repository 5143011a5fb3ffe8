//go:build unix

package fleet

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patch is one request with bytes.
type patch struct {
	worker      string
	fence       int64
	bytes       int64
	arrived     time.Time
	first, last time.Time // of the bytes
	status      int       // 0 while it runs
}

func (p *patch) String() string {
	text := fmt.Sprintf("worker %s with fence %d at %s: %d", p.worker, p.fence, clock(p.arrived), p.status)
	if p.bytes > 0 {
		text += fmt.Sprintf(", %d bytes from %s to %s", p.bytes, clock(p.first), clock(p.last))
	}
	return text
}

// upload is an upload on the server.
type upload struct {
	file    string
	patches []*patch
}

// recorder records who writes what to a server.
type recorder struct {
	// request is called for each request for a file.
	request func(file, worker string, at time.Time)
	// rate is how fast the server reads each request of an upload of kind slow.
	rate int64

	mu       sync.Mutex
	uploads  map[string]*upload // by ID
	created  map[string][]string
	verified map[string]bool // by file
	received int64
	late     []string // requests that changed a verified file
}

func newRecorder(rate int64, request func(file, worker string, at time.Time)) *recorder {
	return &recorder{
		request: request, rate: rate,
		uploads: map[string]*upload{}, created: map[string][]string{}, verified: map[string]bool{},
	}
}

// record records the requests for a server.
func (r *recorder) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		worker, id := req.Header.Get(workerHeader), path.Base(req.URL.Path)
		r.mu.Lock()
		up := r.uploads[id]
		r.mu.Unlock()
		switch {
		case req.Method == http.MethodPost:
			r.create(next, w, req, worker)
			return
		case up == nil:
			next.ServeHTTP(w, req)
			return
		}
		r.request(up.file, worker, time.Now())
		if req.Method != http.MethodPatch {
			next.ServeHTTP(w, req)
			return
		}
		p := &patch{worker: worker, arrived: time.Now()}
		p.fence, _ = strconv.ParseInt(req.Header.Get(fenceHeader), 10, 64)
		r.mu.Lock()
		up.patches = append(up.patches, p)
		r.mu.Unlock()
		req = req.WithContext(req.Context()) // a copy
		body := &recordedBody{ReadCloser: req.Body, recorder: r, file: up.file, patch: p}
		if strings.HasSuffix(up.file, kindSlow) {
			body.rate = r.rate
		}
		req.Body = body
		response := &recordedResponse{ResponseWriter: w}
		next.ServeHTTP(response, req)
		r.mu.Lock()
		defer r.mu.Unlock()
		p.status = response.status
	})
}

// create records the creation of an upload.
func (r *recorder) create(next http.Handler, w http.ResponseWriter, req *http.Request, worker string) {
	file := filename(req.Header.Get("Upload-Metadata"))
	r.request(file, worker, time.Now())
	response := &recordedResponse{ResponseWriter: w}
	response.created = func(id string) { // before the client has the URL
		r.mu.Lock()
		defer r.mu.Unlock()
		r.uploads[id] = &upload{file: file}
		r.created[file] = append(r.created[file], id)
		if r.verified[file] {
			r.late = append(r.late, "creation of "+file+" by "+worker)
		}
	}
	next.ServeHTTP(response, req)
}

// filename returns the name of the file in Upload-Metadata.
func filename(metadata string) string {
	for pair := range strings.SplitSeq(metadata, ",") {
		if key, value, _ := strings.Cut(pair, " "); key == "filename" {
			name, _ := base64.StdEncoding.DecodeString(value)
			return string(name)
		}
	}
	return ""
}

type recordedResponse struct {
	http.ResponseWriter
	status  int
	created func(id string)
}

// Unwrap is for http.ResponseController.
func (w *recordedResponse) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recordedResponse) WriteHeader(status int) {
	if w.status = status; w.created != nil && status == http.StatusCreated {
		w.created(path.Base(w.Header().Get("Location")))
	}
	w.ResponseWriter.WriteHeader(status)
}

type recordedBody struct {
	io.ReadCloser
	recorder *recorder
	file     string
	patch    *patch
	rate     int64
}

func (b *recordedBody) Read(p []byte) (int, error) {
	if b.rate > 0 {
		p = p[:min(len(p), 32<<10)]
	}
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.note(int64(n))
	}
	if b.rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(b.rate))
	}
	return n, err
}

func (b *recordedBody) note(n int64) {
	now := time.Now()
	b.recorder.mu.Lock()
	defer b.recorder.mu.Unlock()
	if b.patch.bytes == 0 {
		b.patch.first = now
	}
	b.patch.bytes += n
	b.patch.last = now
	b.recorder.received += n
	if b.recorder.verified[b.file] {
		b.recorder.late = append(b.recorder.late, "bytes for "+b.file+" by "+b.patch.worker)
	}
}

// verify marks a file as verified: from now on, nothing may change it. It returns the IDs of
// its uploads.
func (r *recorder) verify(file string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verified[file] = true
	return slices.Clone(r.created[file])
}

// writers is what the recorder found about several writers of one upload.
type writers struct {
	uploads     int // created
	patches     int
	overlapping int // pairs of requests of different workers that had bytes at the same time
	earlier     int // requests of a worker after one of a later holder
	accepted    int // of those, with bytes
	received    int64
	problems    []string
}

// writers compares the requests for each upload.
func (r *recorder) writers() writers {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := writers{uploads: len(r.uploads), received: r.received, problems: slices.Clone(r.late)}
	report := func(what string, p, q *patch, file string) {
		w.problems = append(w.problems, fmt.Sprintf("%s: %s: %v; %v", file, what, p, q))
	}
	for _, up := range r.uploads {
		w.patches += len(up.patches)
		var newest *patch
		for i, p := range up.patches {
			for _, q := range up.patches[:i] {
				if p.worker != q.worker && p.bytes > 0 && q.bytes > 0 && p.first.Before(q.last) && q.first.Before(p.last) {
					w.overlapping++
					report("overlapping", q, p, up.file)
				}
			}
			switch {
			case newest == nil || p.fence > newest.fence || p.worker == newest.worker:
				newest = p
			default:
				w.earlier++
				report("earlier holder", newest, p, up.file)
				if p.bytes > 0 {
					w.accepted++
				}
			}
		}
	}
	return w
}
