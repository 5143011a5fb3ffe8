package tustest

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// RFC is the version of the IETF draft without interop number, as a future RFC will be. A
// request is one of it if it has neither Upload-Draft-Interop-Version nor Tus-Resumable.
const RFC = -1

// newestInterop is the version that the RFC is assumed to be equal to.
const newestInterop = 9

// DraftOptions configures the IETF draft. The zero value is the text of each version, without
// limits.
type DraftOptions struct {
	// Dialect is how the server differs from the text.
	Dialect Dialect
	// MinSize, MaxAppendSize and MinAppendSize are limits in Upload-Limit, in bytes, for
	// versions from 6 on; 0 means none.
	MinSize, MaxAppendSize, MinAppendSize int64
}

// Dialect is how a server differs from the text of the draft.
type Dialect int

const (
	// DialectDraft follows the text of the version, and omits what is optional.
	DialectDraft Dialect = iota
	// DialectTusd is tusd 2.9.1, which speaks versions 3 to 6 only: no Upload-Complete in
	// responses to POST and PATCH, no Upload-Offset in a 409, complete as soon as the length
	// is reached, and 400 for an Upload-Length that is known already.
	DialectTusd
	// DialectSwiftNIO swaps Upload-Complete and Upload-Incomplete in the response that
	// completes an upload, in versions up to 6.
	DialectSwiftNIO
	// DialectMute sends no 104.
	DialectMute
	// DialectGone drops an upload as soon as it is complete: later requests get 404.
	DialectGone
	// DialectSilent responds to HEAD with 200, and with nothing but Upload-Offset and
	// Upload-Limit. In version 8 its response to OPTIONS has Accept-Patch only.
	DialectSilent
	// DialectSlip responds to an incomplete append with Upload-Complete: ?1, which is a mistake
	// in the text of versions 4 to 6.
	DialectSlip
)

// draftState is the part of an upload that only the draft needs. The upload counts as one of
// deferred length until it is complete.
type draftState struct {
	promised    int64 // the length that a request has stated
	hasPromised bool
	dropped     bool          // by DialectGone
	interrupt   func()        // ends the transfer in flight; nil if it is one of tus
	ended       chan struct{} // closed at the end of that transfer
}

// exchange is one request of the draft and its response.
type exchange struct {
	*Handler
	w       http.ResponseWriter
	r       *http.Request
	interop int // of the request, or RFC
	version int // interop, or newestInterop for the RFC
}

// draftRefusal is a response with an error status.
type draftRefusal struct {
	refusal
	problem string            // the name of a problem type; "" for none
	members map[string]int64  // of the problem
	header  map[string]string // of the response
}

func (e *exchange) refuse(status int, text string) *draftRefusal {
	return &draftRefusal{refusal: refusal{status, text}}
}

// problem returns a refusal with a problem type that is defined from a version on.
func (e *exchange) problem(status int, from int, name, text string) *draftRefusal {
	d := e.refuse(status, text)
	if e.version >= from && !e.is(DialectTusd) {
		d.problem = name
	}
	return d
}

func (e *exchange) is(d Dialect) bool { return e.options.Draft.Dialect == d }

// serveDraft handles a request of the draft. It returns false for any other one.
func (h *Handler) serveDraft(w http.ResponseWriter, r *http.Request) bool {
	e, ok := h.exchange(w, r)
	if !ok {
		return false
	}
	if e.interop == RFC && r.Method == http.MethodOptions {
		e.offer() // beside tus, as a request for either looks the same
		return false
	}
	if refused := e.serve(); refused != nil {
		e.respondRefusal(refused)
	}
	return true
}

func (h *Handler) exchange(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	e := &exchange{Handler: h, w: w, r: r, interop: RFC, version: newestInterop}
	switch lines := r.Header.Values(headerInterop); {
	case len(lines) > 0:
		n, err := readInteger(lines)
		if err != nil || n < 0 {
			return nil, false
		}
		e.interop, e.version = int(n), int(n)
	case r.Header.Get("Tus-Resumable") != "":
		return nil, false
	}
	if e.is(DialectTusd) && (e.interop < 3 || e.interop > 6) {
		return nil, false
	}
	return e, slices.Contains(h.options.Interop, e.interop)
}

func (e *exchange) serve() *draftRefusal {
	switch e.r.Method {
	case http.MethodOptions, http.MethodHead, http.MethodGet, http.MethodDelete:
		if refused := e.checkNoFields(); refused != nil {
			return refused
		}
	}
	onTarget := strings.TrimSuffix(e.r.URL.Path, "/") == strings.TrimSuffix(e.options.BasePath, "/")
	switch {
	case e.r.Method == http.MethodOptions:
		e.describeDraft()
		return nil
	case onTarget:
		return e.create()
	}
	u, refused := e.lookup()
	if refused != nil {
		return refused
	}
	switch e.r.Method {
	case http.MethodHead, http.MethodGet:
		return e.head(u)
	case http.MethodPatch:
		return e.append(u)
	case http.MethodDelete:
		return e.delete(u)
	}
	return e.refuse(http.StatusMethodNotAllowed, e.r.Method+" on an upload URL")
}

// checkNoFields refuses a request that has a field of an upload.
func (e *exchange) checkNoFields() *draftRefusal {
	if e.is(DialectTusd) {
		return nil
	}
	for name := range e.r.Header {
		if strings.HasPrefix(name, "Upload-") && name != headerInterop {
			return e.refuse(http.StatusBadRequest, e.r.Method+" with "+name)
		}
	}
	return nil
}

// lookup returns the upload of the request URL.
func (e *exchange) lookup() (*upload, *draftRefusal) {
	u := e.at(e.r.URL.Path)
	if u == nil || u.parts != nil {
		return nil, e.refuse(http.StatusNotFound, "upload not found")
	}
	gone := e.gone(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.draft.dropped, gone && e.version < 7:
		return nil, e.refuse(http.StatusNotFound, "upload not found")
	case gone:
		return nil, e.refuse(http.StatusGone, "upload is gone")
	case u.interop != 0 && u.interop != e.interop && !e.is(DialectTusd):
		return nil, e.refuse(http.StatusBadRequest, "upload was created with version "+strconv.Itoa(u.interop))
	}
	return u, nil
}

// acquire ends the transfer of u that is in flight, and reserves u.
func (e *exchange) acquire(u *upload) *draftRefusal {
	for {
		u.mu.Lock()
		if !u.busy {
			u.busy = true
			u.draft.ended = make(chan struct{})
			u.draft.interrupt = e.interrupt
			u.mu.Unlock()
			return nil
		}
		interrupt, ended := u.draft.interrupt, u.draft.ended
		if interrupt != nil {
			interrupt() // with u.mu, so that the other request has not ended yet
		}
		u.mu.Unlock()
		if interrupt == nil {
			return e.refuse(http.StatusLocked, "upload is locked")
		}
		select {
		case <-ended:
		case <-e.r.Context().Done():
			return e.refuse(http.StatusServiceUnavailable, "request ended while it waited for another one")
		}
	}
}

// cancelKey is the context key of the function that cancels a request.
type cancelKey struct{}

// interrupt ends the request: a Read of its body, and a fault that waits.
func (e *exchange) interrupt() {
	_ = http.NewResponseController(e.w).SetReadDeadline(longAgo)
	if cancel, ok := e.r.Context().Value(cancelKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// releaseUpload ends the reservation of u.
func (e *exchange) releaseUpload(u *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = false
	close(u.draft.ended)
	u.draft.interrupt, u.draft.ended = nil, nil
}
