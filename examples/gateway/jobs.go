package main

import (
	"net/http"
	"regexp"
	"sync"

	"github.com/seed-175555ba/tus-go/tus"
)

// state is the state of an upload.
type state string

const (
	receiving state = "receiving" // the form is arriving
	storing   state = "storing"   // the form has arrived, the last chunks are being sent
	complete  state = "complete"  // the tus server acknowledged the whole file
	failed    state = "failed"    // the upload was deleted
)

func (s state) final() bool { return s == complete || s == failed }

// status is the response to a GET.
type status struct {
	ID       string `json:"id"`
	State    state  `json:"state"`
	Filename string `json:"filename,omitempty"`
	// FormSize is the size of the form in bytes, slightly above the size of the file. It is
	// 0 if unknown.
	FormSize int64 `json:"form_size,omitempty"`
	// Received and Stored are the numbers of bytes of the file received from the browser,
	// and acknowledged by the tus server.
	Received int64 `json:"received"`
	Stored   int64 `json:"stored"`
	// URL is the upload URL of a complete upload.
	URL   string `json:"url,omitempty"`
	Error string `json:"error,omitempty"`
}

// job is one upload.
type job struct {
	done   chan struct{} // closed when the upload has ended
	client string        // from clientOf

	mu       sync.Mutex
	last     status // the constant fields; after the end all fields
	err      error  // the refusal of a failed upload
	form     *form
	uploader *tus.Uploader
}

func (j *job) setForm(f *form) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.form = f
	j.last.Filename = f.filename
}

func (j *job) setUploader(u *tus.Uploader) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.uploader = u
}

func (j *job) status() status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.statusLocked()
}

// statusLocked returns the status. The caller holds j.mu.
func (j *job) statusLocked() status {
	s := j.last
	if j.form != nil {
		s.Received = j.form.received.Load()
		if j.form.arrived() {
			s.State = storing
		}
	}
	if j.uploader != nil {
		s.Stored = j.uploader.Offset()
	}
	return s
}

// end records the result, and releases the buffers: the job may be kept for a long time.
func (j *job) end(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = j.statusLocked()
	if err == nil {
		j.last.State, j.last.URL = complete, j.uploader.URL()
	} else {
		refusal := refusalOf(err)
		j.err = refusal
		j.last.State, j.last.Error = failed, refusal.text
	}
	j.form, j.uploader = nil, nil
	close(j.done)
}

// failure returns the refusal of a failed upload, nil otherwise.
func (j *job) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// jobs has the active uploads, and the last ended ones.
type jobs struct {
	maxActive, maxPerClient, keep int

	running sync.WaitGroup

	mu       sync.Mutex
	byID     map[string]*job
	active   int
	byClient map[string]int // number of active uploads by client
	// ended has the IDs of complete and of failed uploads, oldest first. They are separate,
	// so that failing forms do not evict complete uploads.
	ended  map[state][]string
	closed bool
}

func newJobs(o options) *jobs {
	return &jobs{maxActive: o.maxActive, maxPerClient: o.maxPerClient, keep: o.keep,
		byID: map[string]*job{}, byClient: map[string]int{}, ended: map[state][]string{}}
}

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// open adds an upload, unless a limit is reached.
func (s *jobs) open(id, client string, formSize int64) (*job, error) {
	if !validID.MatchString(id) {
		return nil, &refusal{http.StatusBadRequest, "an ID must have 16 to 64 letters, digits, - and _"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byID[id] != nil:
		return nil, &refusal{http.StatusConflict, "this ID is in use"}
	case s.closed:
		return nil, errClosing
	case s.active >= s.maxActive:
		return nil, &refusal{http.StatusServiceUnavailable, "too many uploads at the same time, retry later"}
	case s.byClient[client] >= s.maxPerClient:
		return nil, &refusal{http.StatusTooManyRequests, "this client has too many uploads at the same time, retry later"}
	}
	j := &job{done: make(chan struct{}), client: client, last: status{ID: id, State: receiving, FormSize: max(0, formSize)}}
	s.byID[id] = j
	s.active++
	s.byClient[client]++
	s.running.Add(1)
	return j, nil
}

// end records the result of an upload. It removes the oldest upload with the same result
// if there are too many, and the upload itself unless keep is set.
func (s *jobs) end(j *job, err error, keep bool) {
	defer s.running.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	j.end(err) // with s.mu held: when its status is final, it does not count as active
	s.active--
	if s.byClient[j.client]--; s.byClient[j.client] == 0 {
		delete(s.byClient, j.client)
	}
	if !keep {
		delete(s.byID, j.last.ID)
		return
	}
	ended := append(s.ended[j.last.State], j.last.ID)
	if len(ended) > s.keep {
		delete(s.byID, ended[0])
		ended = ended[1:]
	}
	s.ended[j.last.State] = ended
}

// close makes open fail, and waits for the active uploads. It reports whether there were
// any.
func (s *jobs) close() (waited bool) {
	s.mu.Lock()
	s.closed = true
	waited = s.active > 0
	s.mu.Unlock()
	s.running.Wait()
	return waited
}

func (s *jobs) find(id string) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.byID[id]; j != nil {
		return j, nil
	}
	return nil, &refusal{http.StatusNotFound, "no such upload, or its status was removed"}
}
