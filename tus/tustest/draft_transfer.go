package tustest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// longAgo is a read deadline that has passed.
var longAgo = time.Unix(1, 0)

// knownLength returns the length that a request has stated. u.mu must be held.
func (u *upload) knownLength() (int64, bool) {
	if !u.deferred {
		return u.length, true
	}
	return u.draft.promised, u.draft.hasPromised
}

// complete reports whether u is complete. u.mu must be held.
func (u *upload) complete() bool { return !u.deferred && int64(len(u.data)) == u.length }

// transfer is the content of a creation or an append.
type transfer struct {
	upload *upload
	start  int64
	ended  bool // the content is the end of the upload
	// created is set for a creation. With resumable the client gets the upload URL.
	created, resumable bool
}

// statedLength returns Upload-Length, which versions before 6 do not have.
func (e *exchange) statedLength() (int64, bool, *draftRefusal) {
	if e.version < 6 && !e.is(DialectTusd) {
		return 0, false, nil
	}
	return e.size("Upload-Length")
}

func (e *exchange) inconsistent(format string, args ...any) *draftRefusal {
	return e.problem(http.StatusBadRequest, 7, "inconsistent-upload-length", fmt.Sprintf(format, args...))
}

func (e *exchange) tooLarge(u *upload, text string) *draftRefusal {
	d := e.refuse(http.StatusRequestEntityTooLarge, text)
	if limits := e.limits(u); limits != "" {
		d.header = map[string]string{"Upload-Limit": limits}
	}
	return d
}

// create creates an upload on the target.
func (e *exchange) create() *draftRefusal {
	switch m := e.r.Method; {
	case m == http.MethodPost:
	case (m == http.MethodPut || m == http.MethodPatch) && !e.is(DialectTusd):
	default:
		return e.refuse(http.StatusMethodNotAllowed, m+" on the target")
	}
	t := transfer{created: true, resumable: true}
	var refused *draftRefusal
	if t.ended, refused = e.ended(); refused != nil {
		return refused
	}
	if e.r.Header.Get("Upload-Offset") != "" && !e.is(DialectTusd) {
		return e.refuse(http.StatusBadRequest, "creation with Upload-Offset")
	}
	length, known, refused := e.statedLength()
	if refused != nil {
		return refused
	}
	if content := e.r.ContentLength; t.ended && content >= 0 {
		if known && content != length {
			return e.inconsistent("complete with %d of %d bytes", content, length)
		}
		if !known {
			length, known = content, true
		}
	}
	metadata, err := metadataOf(e.r.Header)
	if err != nil {
		return e.refuse(http.StatusBadRequest, "bad Content-Disposition")
	}
	if known && e.version >= 6 && length < e.options.Draft.MinSize && !e.is(DialectTusd) {
		if !t.ended {
			return e.refuse(http.StatusBadRequest, "below min-size")
		}
		t.resumable = false
	}
	if refused := e.checkLimits(nil, t, length, known); refused != nil {
		return refused
	}
	u := &upload{metadata: metadata, interop: e.interop, deferred: true, changed: time.Now()}
	u.draft.promised, u.draft.hasPromised = length, known
	if refused := e.acquire(u); refused != nil {
		return refused
	}
	defer e.releaseUpload(u)
	e.mu.Lock()
	e.nextID++
	u.id = fmt.Sprintf("%08d", e.nextID)
	e.uploads[u.id] = u
	e.mu.Unlock()
	if t.upload = u; t.resumable && !e.is(DialectMute) {
		fields := []string{"Location", e.location(u)}
		if limits := e.limits(u); limits != "" {
			fields = append(fields, "Upload-Limit", limits)
		}
		e.inform(fields...)
	}
	return e.transfer(t)
}

// append appends to u, or completes it.
func (e *exchange) append(u *upload) *draftRefusal {
	if e.version >= 6 && e.r.Header.Get("Content-Type") != partialUpload {
		status := http.StatusUnsupportedMediaType
		if e.is(DialectTusd) {
			status = http.StatusBadRequest
		}
		return e.refuse(status, "Content-Type is not "+partialUpload)
	}
	t := transfer{upload: u}
	var refused *draftRefusal
	if t.ended, refused = e.ended(); refused != nil {
		return refused
	}
	start, present, refused := e.size("Upload-Offset")
	switch {
	case refused != nil:
		return refused
	case !present:
		return e.refuse(http.StatusBadRequest, "no Upload-Offset")
	}
	t.start = start
	stated, states, refused := e.statedLength()
	if refused != nil {
		return refused
	}
	if refused := e.acquire(u); refused != nil {
		return refused
	}
	defer e.releaseUpload(u)
	if refused := e.checkAppend(t, stated, states); refused != nil {
		return refused
	}
	return e.transfer(t)
}

// checkAppend checks offset and length of an append, and stores a length that it states.
func (e *exchange) checkAppend(t transfer, stated int64, states bool) *draftRefusal {
	u := t.upload
	u.mu.Lock()
	have := int64(len(u.data))
	length, known := u.knownLength()
	complete := u.complete()
	u.mu.Unlock()
	switch {
	case t.start != have:
		return e.conflict(have, t.start)
	case complete:
		return e.checkReplay(t)
	case states && known && (e.is(DialectTusd) || stated != length):
		return e.inconsistent("Upload-Length is %d, but was %d", stated, length)
	case states && stated < have:
		return e.inconsistent("Upload-Length is %d, below the offset", stated)
	case states:
		length, known = stated, true
	}
	content := e.r.ContentLength
	switch {
	case known && content >= 0 && have+content > length:
		return e.exceeds(u, length)
	case known && content >= 0 && t.ended && have+content < length && !e.is(DialectTusd):
		return e.inconsistent("complete with %d of %d bytes", have+content, length)
	}
	if refused := e.checkLimits(u, t, length, known); refused != nil {
		return refused
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.deferred {
		u.draft.promised, u.draft.hasPromised = length, known
	}
	return nil
}

// conflict is the refusal of an append at another offset.
func (e *exchange) conflict(have, at int64) *draftRefusal {
	if e.is(DialectTusd) {
		return e.refuse(http.StatusConflict, "ERR_MISMATCHED_OFFSET")
	}
	d := e.problem(http.StatusConflict, 6, "mismatching-upload-offset", "upload is at another offset")
	d.members = map[string]int64{"expected-offset": have, "provided-offset": at}
	d.header = map[string]string{"Upload-Offset": strconv.FormatInt(have, 10)}
	if e.version >= 9 {
		d.header[headerComplete] = writeBoolean(false)
	}
	return d
}

// checkReplay checks an append to a complete upload. nil repeats the final response.
func (e *exchange) checkReplay(t transfer) *draftRefusal {
	empty := e.r.ContentLength == 0
	switch {
	case empty && t.ended && (e.version == 5 || e.version >= 9 || e.is(DialectTusd)):
		return nil
	case e.is(DialectTusd):
		return e.refuse(http.StatusRequestEntityTooLarge, "ERR_UPLOAD_SIZE_EXCEEDED")
	case empty && e.version == 8:
		return e.refuse(http.StatusGone, "upload is complete")
	case e.version >= 8:
		return e.inconsistent("upload is complete")
	}
	return e.problem(http.StatusBadRequest, 6, "completed-upload", "upload is complete")
}

// exceeds is the refusal of content beyond the length. From version 7 on, the upload is dead.
func (e *exchange) exceeds(u *upload, length int64) *draftRefusal {
	if e.is(DialectTusd) {
		return e.refuse(http.StatusRequestEntityTooLarge, "ERR_UPLOAD_SIZE_EXCEEDED")
	}
	if e.version >= 7 {
		u.mu.Lock()
		u.terminated = true
		u.mu.Unlock()
	}
	return e.inconsistent("content exceeds the length %d", length)
}

// checkLimits applies the limits to a request before its content. u is nil for a creation.
func (e *exchange) checkLimits(u *upload, t transfer, length int64, known bool) *draftRefusal {
	content := e.r.ContentLength
	if most := e.options.MaxSize; most > 0 && !(e.is(DialectTusd) && t.created) && (known && length > most || t.start+content > most) {
		return e.tooLarge(u, "above max-size")
	}
	if !e.limitsContent(t) {
		return nil
	}
	limits := e.options.Draft
	switch {
	case limits.MaxAppendSize > 0 && content > limits.MaxAppendSize:
		return e.tooLarge(u, "above max-append-size")
	case content > 0 && content < limits.MinAppendSize && !t.ended:
		return e.refuse(http.StatusBadRequest, "below min-append-size")
	}
	return nil
}

// limitsContent reports whether the limits of an append bind the request.
func (e *exchange) limitsContent(t transfer) bool {
	return !e.is(DialectTusd) && e.version >= 6 && (!t.created || e.version >= 9)
}

// transfer stores the content of a request, completes the upload, and responds. Received bytes
// are stored even if the request breaks off.
func (e *exchange) transfer(t transfer) *draftRefusal {
	u := t.upload
	stored, refused := e.store(t)
	u.mu.Lock()
	u.changed = time.Now()
	length, known := u.knownLength()
	have := int64(len(u.data))
	completes := refused == nil && t.ended && !(known && have != length)
	if e.is(DialectTusd) && known && have == length {
		completes = true
	}
	if completes {
		u.length, u.deferred = have, false
		u.draft.dropped = e.is(DialectGone)
	}
	u.mu.Unlock()
	switch {
	case refused != nil:
		return refused
	case t.ended && !completes && !e.is(DialectTusd):
		return e.inconsistent("complete with %d of %d bytes", have, length)
	case e.limitsContent(t) && !t.ended && stored > 0 && stored < e.options.Draft.MinAppendSize: // of unknown length
		return e.refuse(http.StatusBadRequest, "below min-append-size")
	}
	e.respond(t, completes)
	return nil
}

// store reads the content and appends it to the upload.
func (e *exchange) store(t transfer) (stored int64, refused *draftRefusal) {
	u := t.upload
	u.mu.Lock()
	length, known := u.knownLength()
	u.mu.Unlock()
	buf := make([]byte, 32<<10)
	for {
		n, err := e.r.Body.Read(buf)
		end := t.start + stored + int64(n)
		switch most := e.options.Draft.MaxAppendSize; {
		case known && end > length:
			return stored, e.exceeds(u, length)
		case e.options.MaxSize > 0 && end > e.options.MaxSize && !e.is(DialectTusd):
			return stored, e.tooLarge(u, "above max-size")
		case most > 0 && stored+int64(n) > most && e.limitsContent(t):
			return stored, e.tooLarge(u, "above max-append-size")
		}
		u.store(buf[:n], unknownLength)
		stored += int64(n)
		if err == io.EOF {
			return stored, nil
		}
		if err != nil { // the client has disconnected, or another request has ended this one
			return stored, e.refuse(http.StatusBadRequest, "content ended early")
		}
	}
}

// respond sends the final response to a creation or an append.
func (e *exchange) respond(t transfer, complete bool) {
	header := e.w.Header()
	if e.is(DialectTusd) {
		setOffset(e.w, t.upload)
		if t.created {
			header.Set(headerInterop, strconv.Itoa(e.interop))
			header.Set("Location", e.location(t.upload))
			e.setLimits(t.upload, true)
			e.w.WriteHeader(http.StatusCreated)
			return
		}
		e.w.WriteHeader(http.StatusNoContent)
		return
	}
	if e.version <= 6 {
		setOffset(e.w, t.upload)
	}
	if t.created && t.resumable && (!complete || e.version <= 6) {
		header.Set("Location", e.location(t.upload))
	}
	switch {
	case complete:
		e.setCompleteAs(true, (e.version == 3) != (e.is(DialectSwiftNIO) && e.version <= 6))
		if e.version <= 6 {
			e.w.WriteHeader(http.StatusCreated)
			return
		}
		e.w.WriteHeader(http.StatusOK)
		io.WriteString(e.w, "upload complete")
	case t.created:
		e.setLimits(t.upload, false)
		e.setComplete(false)
		e.w.WriteHeader(http.StatusCreated)
	default:
		e.setComplete(e.is(DialectSlip) && 4 <= e.version && e.version <= 6)
		if e.version <= 6 {
			e.w.WriteHeader(http.StatusCreated)
			return
		}
		e.w.WriteHeader(http.StatusNoContent)
	}
}
