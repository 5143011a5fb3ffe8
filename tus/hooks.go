package tus

import (
	"net/http"
	"time"
)

// Hooks lets a program watch and steer what a [Client] does. All fields are
// optional. Hooks run one at a time for each upload, and those of several uploads at
// the same time, in the goroutine that drives
// it or (OnProgress, and those of parallel parts) in one that works for it, and
// must return quickly: while a hook runs, its upload waits. A hook may call the
// getters and Pause of an [Uploader], but not Run, Step or Abort, nor methods of the
// Client that send requests: they may wait for the request that runs the hook.
//
// A panic in a hook, or in a [Source], store, fingerprinter, checksum algorithm,
// [Limiter] or [RetryPolicy], reaches the goroutine that called Run, Upload or another
// method, with its value, in whichever goroutine it happened. After it is recovered, the
// upload is paused, its lease is released, and Run resumes it; a stream whose reader
// panicked fails. runtime.Goexit, which testing.T.FailNow calls, ends the goroutine of
// the caller in the same way, or is an error where data is hashed.
type Hooks struct {
	// BeforeRequest runs before every attempt of every request, for example to
	// renew a token or to sign the request. It may change the headers and the URL.
	// For a request that goes without [Options.Header], as its origin is not trusted,
	// it gets a copy, and its changes are dropped. An error ends the upload, unless [RetryPolicy.ShouldRetry] says
	// otherwise. A request that is answered with 401 is repeated once, so that this
	// hook can renew what expired; a PATCH after the offset was asked for.
	BeforeRequest func(*http.Request) error

	// AfterResponse sees every answer, whatever its status.
	AfterResponse func(*http.Request, *Response)

	// OnUploadURL is told the URL of each upload that the client creates, before
	// the first byte is sent to it.
	OnUploadURL func(UploadURLEvent)

	// OnStateChange is told each transition of an [Uploader].
	OnStateChange func(StateEvent)

	// OnProgress is told how far an upload is: about ten times a second while
	// bytes move, and at each acknowledgement.
	OnProgress func(Progress)

	// OnRetry is told of each failure that will be retried, before the wait.
	OnRetry func(RetryEvent)

	// OnHeld is called when another Uploader holds a stored upload of the source,
	// once for each: before the upload waits for it ([HeldEvent].Wait), begins
	// beside it, or fails. See [UploadOptions.Held].
	OnHeld func(HeldEvent)

	// OnStoreError is told when the store of upload URLs fails. Unless
	// [Options.RequireStore] is set, the upload goes on, but a later session may
	// not find it.
	OnStoreError func(StoreError)
}

// UploadURLEvent tells where an upload can be resumed.
type UploadURLEvent struct {
	// Uploader is the upload, whose getters tell more and which can be paused; nil
	// outside of one, as of [Client.CreatePartial].
	Uploader *Uploader
	// Name is the source's name, perhaps empty.
	Name string
	// URL is the upload URL as it can be given to [Client.Resume], unless it is that
	// of a final upload, whose parts take the bytes. It may hold secrets in its query,
	// or in its path where the server repeats one there.
	URL string
	// Expires is when the server will forget an unfinished upload; zero if it
	// did not say.
	Expires time.Time
	// Concat tells the parts of a parallel upload, and the final upload made of
	// them, from an ordinary one.
	Concat Concat
}

// HeldEvent is a stored upload that another [Uploader] holds.
type HeldEvent struct {
	// Uploader is the upload, whose getters tell more and which can be paused.
	Uploader *Uploader
	// Name is the source's name, perhaps empty.
	Name string
	// URL is the upload URL of the stored upload. It is empty for one in parallel parts,
	// and for one that is not created yet. It may hold secrets in its query.
	URL string
	// Until is when the holder's lease ends unless it is renewed.
	Until time.Time
	// Wait is how long the upload waits at most; 0 if it does not wait.
	Wait time.Duration
}

// StoreError is an operation of the store that failed.
type StoreError struct {
	// Uploader is the upload, whose getters tell more and which can be paused.
	Uploader *Uploader
	// Name is the source's name, perhaps empty.
	Name string
	// Op is "find", "put" or "delete".
	Op string
	// Err is the store's own error.
	Err error
}

// StateEvent is a transition of an [Uploader].
type StateEvent struct {
	// Uploader is the upload, whose getters tell more and which can be paused.
	Uploader *Uploader
	// Name is the source's name, perhaps empty.
	Name string
	// From and To are the states before and after.
	From, To State
	// Err is why the upload left From, nil in the normal course.
	Err error
}

// RetryEvent is a failure that will be retried.
type RetryEvent struct {
	// Uploader is the upload, whose getters tell more and which can be paused; nil
	// outside of one, as in [Client.Terminate].
	Uploader *Uploader
	// Name is the source's name, perhaps empty.
	Name string
	// Attempt counts failures in a row, from 1. It starts again when the
	// acknowledged offset moves.
	Attempt int
	// Delay is the wait before the next attempt.
	Delay time.Duration
	// Err is the failure.
	Err error
}

// Progress tells how far an upload is. Both counts include what earlier
// sessions of a resumed upload had done.
type Progress struct {
	// Uploader is the upload, whose getters tell more and which can be paused.
	Uploader *Uploader
	// Name is the source's name, perhaps empty.
	Name string
	// Acknowledged is the number of bytes that the server confirmed. It never
	// falls, even when the server loses bytes that it had confirmed.
	Acknowledged int64
	// Sent is Acknowledged and what is on the way. It falls when bytes on the
	// way are lost.
	Sent int64
	// Total is the size in bytes; it has no meaning if TotalUnknown is set.
	Total int64
	// TotalUnknown says that the end of the stream is not known yet.
	TotalUnknown bool
}

// hookSet is the hooks of a client and then those of one upload.
type hookSet []*Hooks

func (s hookSet) beforeRequest(req *http.Request) error {
	if err := s.beforeRequestOf(req); err != nil {
		return &hookError{err}
	}
	return nil
}

func (s hookSet) beforeRequestOf(req *http.Request) error {
	for _, h := range s {
		if h.BeforeRequest == nil {
			continue
		}
		if err := h.BeforeRequest(req); err != nil {
			return err
		}
	}
	return nil
}

// canRenew reports whether a hook might renew credentials after a 401.
func (s hookSet) canRenew() bool {
	for _, h := range s {
		if h.BeforeRequest != nil {
			return true
		}
	}
	return false
}

func (s hookSet) afterResponse(req *http.Request, resp *Response) {
	for _, h := range s {
		if h.AfterResponse != nil {
			h.AfterResponse(req, resp)
		}
	}
}

func (s hookSet) uploadURL(e UploadURLEvent) {
	for _, h := range s {
		if h.OnUploadURL != nil {
			h.OnUploadURL(e)
		}
	}
}

func (s hookSet) stateChange(e StateEvent) {
	for _, h := range s {
		if h.OnStateChange != nil {
			h.OnStateChange(e)
		}
	}
}

func (s hookSet) progress(p Progress) {
	for _, h := range s {
		if h.OnProgress != nil {
			h.OnProgress(p)
		}
	}
}

func (s hookSet) retry(e RetryEvent) {
	for _, h := range s {
		if h.OnRetry != nil {
			h.OnRetry(e)
		}
	}
}

func (s hookSet) held(e HeldEvent) {
	for _, h := range s {
		if h.OnHeld != nil {
			h.OnHeld(e)
		}
	}
}

func (s hookSet) storeError(e StoreError) {
	for _, h := range s {
		if h.OnStoreError != nil {
			h.OnStoreError(e)
		}
	}
}

// serial returns the hooks of u in a form in which they run one at a time, but for
// OnProgress: what it is told has to be worked out in turn, too.
func (s hookSet) serial(u *Uploader) hookSet {
	turn := &u.progress.turn
	h := &Hooks{
		AfterResponse: func(req *http.Request, resp *Response) {
			turn.Lock()
			defer turn.Unlock()
			s.afterResponse(req, resp)
		},
		OnUploadURL: func(e UploadURLEvent) {
			turn.Lock()
			defer turn.Unlock()
			e.Uploader = u
			s.uploadURL(e)
		},
		OnStateChange: func(e StateEvent) {
			turn.Lock()
			defer turn.Unlock()
			e.Uploader = u
			s.stateChange(e)
		},
		OnRetry: func(e RetryEvent) {
			turn.Lock()
			defer turn.Unlock()
			e.Uploader = u
			s.retry(e)
		},
		OnHeld: func(e HeldEvent) {
			turn.Lock()
			defer turn.Unlock()
			e.Uploader = u
			s.held(e)
		},
		OnStoreError: func(e StoreError) {
			turn.Lock()
			defer turn.Unlock()
			e.Uploader = u
			s.storeError(e)
		},
	}
	if s.canRenew() {
		h.BeforeRequest = func(req *http.Request) error {
			turn.Lock()
			defer turn.Unlock()
			return s.beforeRequestOf(req)
		}
	}
	return hookSet{h}
}
