package tus

import (
	"net/http"
	"sync"
	"time"
)

// Hooks are callbacks for the uploads of a [Client]. All fields are optional.
//
// The hooks of one upload run one at a time; those of several uploads run concurrently.
// They run in the goroutine that drives the upload or in one that it started. They must
// return quickly, because the upload waits for them. A hook may call the getters and Pause
// of its [Uploader], but not Run, Step or Abort, nor methods of the Client that send
// requests: these may deadlock with the request that runs the hook. The Uploader is nil if
// the call has none, as in [Client.Terminate].
//
// A panic in a hook, or in a [Source], store, fingerprinter, checksum algorithm,
// [Limiter] or [RetryPolicy], propagates with its value to the goroutine that called Run,
// Upload or another method, whichever goroutine it occurs in. The upload is then paused,
// its lease is released, and Run resumes it; a stream whose reader panicked fails.
// runtime.Goexit, which testing.T.FailNow calls, ends the caller's goroutine in the same
// way, or returns an error if data is being hashed.
type Hooks struct {
	// BeforeRequest is called before every attempt of every request, for example to
	// renew a token or to sign the request. It may change the headers and the URL. If
	// the origin is not trusted, it is called with a copy of the request, and its changes
	// are dropped: see [Options.Header]. An error ends the upload, unless
	// [RetryPolicy.ShouldRetry] returns true for it. After a 401, a request is retried
	// once, so that this hook can renew credentials; a PATCH is retried after a HEAD.
	BeforeRequest func(*http.Request) error

	// AfterResponse is called with every response, whatever its status.
	AfterResponse func(*http.Request, *Response)

	// OnCreated is called for each upload that the client creates on the server,
	// including parts and final uploads, before bytes are sent to its URL.
	OnCreated func(u *Uploader, c *Created)

	// OnResumed is called once for each upload of an earlier session, or of [Client.Resume],
	// that an Uploader resumes, including parts and final uploads, when its offset is known
	// and before bytes are sent to its URL. It is not called when an Uploader resumes its own
	// upload after a pause or a failure, and for a source that is already complete
	// ([Result.AlreadyComplete]). Every URL to which bytes are sent is in a call of OnCreated
	// or OnResumed.
	OnResumed func(u *Uploader, r Resumed)

	// OnStateChange is called for each transition of an [Uploader]. err is the error that
	// caused it, or nil.
	OnStateChange func(u *Uploader, from, to State, err error)

	// OnProgress is called about ten times a second while bytes are sent, and for each
	// acknowledgment.
	OnProgress func(u *Uploader, p Progress)

	// OnRetry is called for each failure that is retried, before the wait.
	OnRetry func(u *Uploader, r Retry)

	// OnHeld is called once for each stored upload of the source that another Uploader
	// holds, before the upload waits for it, starts a second one, or fails. See
	// [UploadOptions.Held].
	OnHeld func(u *Uploader, held *HeldError)

	// OnStoredUploadRefused is called once for each stored upload of the source that the
	// server refuses to show, before the upload starts over or fails. See
	// [UploadOptions.Refused].
	OnStoredUploadRefused func(u *Uploader, refused *StoredError)

	// OnStoreError is called when the store of upload URLs fails. err matches [ErrStore]
	// and the store's own error. Unless [Options.RequireStore] is set, the upload
	// continues, but a later session may not find it.
	OnStoreError func(u *Uploader, err error)
}

// Resumed is an upload on the server that an [Uploader] resumes.
type Resumed struct {
	// URL is the upload URL.
	URL string
	// Offset is the number of bytes that the server has.
	Offset int64
	// Expires is when the server deletes the upload if it is not complete; zero if unknown.
	Expires time.Time
	// Concat is "partial" or "final" for an upload of that role in a concatenation. The
	// bytes of a final upload are those of its parts.
	Concat string
}

// Retry is a failure that is retried.
type Retry struct {
	// Attempt counts failures in a row, from 1. It restarts at 1 when the acknowledged
	// offset advances.
	Attempt int
	// Delay is the wait before the next attempt.
	Delay time.Duration
	// Err is the failure.
	Err error
}

// hookSet holds the hooks of a client, followed by those of one upload.
type hookSet struct {
	hooks    []*Hooks
	uploader *Uploader   // nil in a call without one
	mu       *sync.Mutex // held while a hook runs
}

// each runs the hooks one at a time.
func (s hookSet) each(run func(*Hooks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		run(h)
	}
}

func (s hookSet) beforeRequest(req *http.Request) (err error) {
	s.each(func(h *Hooks) {
		if h.BeforeRequest != nil && err == nil {
			err = h.BeforeRequest(req)
		}
	})
	if err != nil {
		return &hookError{err}
	}
	return nil
}

// canRenew reports whether a BeforeRequest hook may renew credentials after a 401.
func (s hookSet) canRenew() bool {
	for _, h := range s.hooks {
		if h.BeforeRequest != nil {
			return true
		}
	}
	return false
}

func (s hookSet) afterResponse(req *http.Request, resp *Response) {
	s.each(func(h *Hooks) {
		if h.AfterResponse != nil {
			h.AfterResponse(req, resp)
		}
	})
}

func (s hookSet) created(c *Created) {
	s.each(func(h *Hooks) {
		if h.OnCreated != nil {
			h.OnCreated(s.uploader, c)
		}
	})
}

func (s hookSet) resumed(all ...Resumed) {
	for _, r := range all {
		s.each(func(h *Hooks) {
			if h.OnResumed != nil {
				h.OnResumed(s.uploader, r)
			}
		})
	}
}

func (s hookSet) stateChange(from, to State, err error) {
	s.each(func(h *Hooks) {
		if h.OnStateChange != nil {
			h.OnStateChange(s.uploader, from, to, err)
		}
	})
}

// progress requires mu, so that progress is reported in order.
func (s hookSet) progress(p Progress) {
	for _, h := range s.hooks {
		if h.OnProgress != nil {
			h.OnProgress(s.uploader, p)
		}
	}
}

func (s hookSet) retry(r Retry) {
	s.each(func(h *Hooks) {
		if h.OnRetry != nil {
			h.OnRetry(s.uploader, r)
		}
	})
}

func (s hookSet) held(held *HeldError) {
	s.each(func(h *Hooks) {
		if h.OnHeld != nil {
			h.OnHeld(s.uploader, held)
		}
	})
}

func (s hookSet) storedUploadRefused(refused *StoredError) {
	s.each(func(h *Hooks) {
		if h.OnStoredUploadRefused != nil {
			h.OnStoredUploadRefused(s.uploader, refused)
		}
	})
}

func (s hookSet) storeError(err error) {
	s.each(func(h *Hooks) {
		if h.OnStoreError != nil {
			h.OnStoreError(s.uploader, err)
		}
	})
}
