package main

import (
	"net/http"
	"regexp"
	"sync"

	"github.com/seed-175555ba/tus-go/tus"
)

// state is how far an upload is.
type state string

const (
	receiving state = "receiving" // the form is still arriving
	storing   state = "storing"   // it has arrived, and its last chunks are being sent
	complete  state = "complete"  // the tus server confirmed the whole file
	failed    state = "failed"    // nothing of it is left
)

func (s state) final() bool { return s == complete || s == failed }

// status is what GET tells of an upload.
type status struct {
	ID       string `json:"id"`
	State    state  `json:"state"`
	Filename string `json:"filename,omitempty"`
	// FormSize is the length of the form in bytes, a little more than that of the
	// file, if the browser told it.
	FormSize int64 `json:"form_size,omitempty"`
	// Received and Stored are the bytes of the file that came from the browser,
	// and those that the tus server confirmed.
	Received int64 `json:"received"`
	Stored   int64 `json:"stored"`
	// URL is the upload on the tus server, when it is complete.
	URL   string `json:"url,omitempty"`
	Error string `json:"error,omitempty"`
}

// job is one upload.
type job struct {
	done   chan struct{} // closed when it has ended
	client string        // who sends the form

	mu       sync.Mutex
	last     status // as far as it does not change, or all of it when it has ended
	err      error  // why it failed, as the browser is told
	form     *form
	uploader *tus.Uploader
}

func (j *job) receives(f *form) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.form = f
	j.last.Filename = f.filename
}

func (j *job) stores(u *tus.Uploader) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.uploader = u
}

func (j *job) status() status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now()
}

func (j *job) now() status {
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

// end notes how it ended, and lets go of the buffers: the job may be kept for long.
func (j *job) end(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = j.now()
	if err == nil {
		j.last.State, j.last.URL = complete, j.uploader.URL()
	} else {
		told := refusalOf(err)
		j.err = told
		j.last.State, j.last.Error = failed, told.text
	}
	j.form, j.uploader = nil, nil
	close(j.done)
}

// failure is why it failed, nil as long as it goes on.
func (j *job) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// jobs are the uploads under way, and the last ones that ended.
type jobs struct {
	maxActive, maxPerClient, keep int

	running sync.WaitGroup

	mu       sync.Mutex
	byID     map[string]*job
	active   int
	byClient map[string]int // how many of these each client has
	// ended are the IDs of complete and of failed uploads, oldest first. Who sends forms
	// that fail does not push complete ones out.
	ended  map[state][]string
	closed bool
}

func newJobs(o options) *jobs {
	return &jobs{maxActive: o.maxActive, maxPerClient: o.maxPerClient, keep: o.keep,
		byID: map[string]*job{}, byClient: map[string]int{}, ended: map[state][]string{}}
}

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// open adds an upload, unless there are enough, or enough of the client.
func (s *jobs) open(id, client string, formSize int64) (*job, error) {
	if !validID.MatchString(id) {
		return nil, &refusal{http.StatusBadRequest, "an ID has 16 to 64 letters, digits, - and _"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byID[id] != nil:
		return nil, &refusal{http.StatusConflict, "this ID is taken"}
	case s.closed:
		return nil, errClosing
	case s.active >= s.maxActive:
		return nil, &refusal{http.StatusServiceUnavailable, "too busy, come back later"}
	case s.byClient[client] >= s.maxPerClient:
		return nil, &refusal{http.StatusTooManyRequests, "you have too many uploads at the same time, come back later"}
	}
	j := &job{done: make(chan struct{}), client: client, last: status{ID: id, State: receiving, FormSize: max(0, formSize)}}
	s.byID[id] = j
	s.active++
	s.byClient[client]++
	s.running.Add(1)
	return j, nil
}

// end notes what became of an upload, and forgets the oldest one that ended the same way
// if there are too many. One that is not worth keeping is forgotten at once.
func (s *jobs) end(j *job, err error, keep bool) {
	defer s.running.Done()
	j.end(err)
	s.mu.Lock()
	defer s.mu.Unlock()
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

// close makes open fail from now on, and waits for the uploads that there are. It
// reports whether there were any.
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
	return nil, &refusal{http.StatusNotFound, "no such upload, or it ended long ago"}
}
