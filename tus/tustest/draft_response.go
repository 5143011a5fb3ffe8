package tustest

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// statusResumption is 104 (Upload Resumption Supported).
const statusResumption = 104

// respondRefusal sends a refusal, as problem details if it has a problem type.
func (e *exchange) respondRefusal(d *draftRefusal) {
	for name, value := range d.header {
		e.w.Header().Set(name, value)
	}
	if d.problem == "" {
		http.Error(e.w, d.text, d.status)
		return
	}
	members := map[string]any{
		"type": "https://iana.org/assignments/http-problem-types#" + d.problem, "title": d.text, "status": d.status,
	}
	for name, n := range d.members {
		members[name] = n
	}
	body, _ := json.Marshal(members) // of strings and integers
	e.w.Header().Set("Content-Type", "application/problem+json")
	e.w.WriteHeader(d.status)
	e.w.Write(body)
}

// inform sends a 104. header alternates names and values.
func (e *exchange) inform(header ...string) {
	inform(e.w, e.interop, header...)
}

func inform(w http.ResponseWriter, interop int, header ...string) {
	if interop != RFC {
		header = append(header, headerInterop, strconv.Itoa(interop))
	}
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(statusResumption)
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Del(header[i])
	}
}

// location returns the URL of u as in Location.
func (e *exchange) location(u *upload) string {
	location := path.Join(e.options.BasePath, u.id)
	if e.options.AbsoluteLocation || e.is(DialectTusd) {
		scheme := "http"
		if e.r.TLS != nil {
			scheme = "https"
		}
		location = scheme + "://" + e.r.Host + location
	}
	return location
}

// limits returns Upload-Limit for u, which is nil before its creation; "" for none.
func (e *exchange) limits(u *upload) string {
	limits := map[string]int64{}
	set := func(key string, n int64) {
		if n > 0 {
			limits[key] = n
		}
	}
	set("max-size", e.options.MaxSize)
	if e.is(DialectTusd) {
		if u != nil && e.options.MaxSize == 0 {
			u.mu.Lock()
			length, known := u.knownLength()
			u.mu.Unlock()
			if known {
				set("max-size", length)
			}
		}
		limits["min-size"] = 0
		return writeDictionary(limits)
	}
	if e.version < 6 {
		return ""
	}
	set("min-size", e.options.Draft.MinSize)
	set("max-append-size", e.options.Draft.MaxAppendSize)
	set("min-append-size", e.options.Draft.MinAppendSize)
	if age := e.options.Expires; age > 0 {
		if u != nil {
			u.mu.Lock()
			age -= time.Since(u.changed)
			u.mu.Unlock()
		}
		key := "max-age"
		if e.version == 6 {
			key = "expires"
		}
		limits[key] = max(0, int64(age/time.Second))
	}
	return writeDictionary(limits)
}

// setLimits sets Upload-Limit; without limits only if it is required.
func (e *exchange) setLimits(u *upload, required bool) {
	value := e.limits(u)
	if value == "" && required {
		value = writeDictionary(map[string]int64{"min-size": 0})
	}
	if value != "" {
		e.w.Header().Set("Upload-Limit", value)
	}
}

// offer sets the fields by which a client discovers the draft.
func (e *exchange) offer() {
	if e.version == 8 {
		e.w.Header().Set("Accept-Patch", partialUpload)
		if e.is(DialectSilent) {
			return
		}
	}
	e.setLimits(nil, e.version >= 6)
}

// describeDraft responds to OPTIONS.
func (e *exchange) describeDraft() {
	e.offer()
	if e.is(DialectTusd) {
		e.w.Header().Set("Tus-Version", "1.0.0")
		e.w.Header().Set("Tus-Extension", strings.Join(e.options.Extensions, ","))
		e.w.WriteHeader(http.StatusOK)
		return
	}
	e.w.WriteHeader(http.StatusNoContent)
}

// head responds with the state of u. It ends a transfer that is in flight.
func (e *exchange) head(u *upload) *draftRefusal {
	if refused := e.acquire(u); refused != nil {
		return refused
	}
	defer e.releaseUpload(u)
	header := e.w.Header()
	header.Set("Cache-Control", "no-store")
	setOffset(e.w, u)
	e.setLimits(u, e.version >= 8)
	if e.is(DialectSilent) {
		e.w.WriteHeader(http.StatusOK)
		return nil
	}
	u.mu.Lock()
	length, known := u.knownLength()
	complete := u.complete()
	u.mu.Unlock()
	e.setComplete(complete)
	if known && (e.version >= 6 || e.is(DialectTusd)) {
		header.Set("Upload-Length", strconv.FormatInt(length, 10))
	}
	if e.is(DialectTusd) {
		header.Set(headerInterop, strconv.Itoa(e.interop))
	}
	e.w.WriteHeader(http.StatusNoContent)
	return nil
}

// delete cancels u.
func (e *exchange) delete(u *upload) *draftRefusal {
	if !e.supports("termination") {
		return e.refuse(http.StatusMethodNotAllowed, "no cancellation")
	}
	if refused := e.acquire(u); refused != nil {
		return refused
	}
	defer e.releaseUpload(u)
	u.mu.Lock()
	u.terminated = true
	u.mu.Unlock()
	e.w.WriteHeader(http.StatusNoContent)
	return nil
}

// metadataOf returns the file name and media type of a creation as Upload-Metadata.
func metadataOf(h http.Header) (string, error) {
	var pairs []string
	add := func(key, value string) {
		if value != "" {
			pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	if disposition := h.Get("Content-Disposition"); disposition != "" {
		_, parameters, err := mime.ParseMediaType(disposition)
		if err != nil {
			return "", err
		}
		add("filename", parameters["filename"])
	}
	add("filetype", h.Get("Content-Type"))
	return strings.Join(pairs, ","), nil
}
