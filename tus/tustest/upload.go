package tustest

import (
	"net/url"
	"path"
	"sort"
	"strings"
	"sync"
	"time"
)

// Upload is a copy of what the server holds of one upload.
type Upload struct {
	ID             string // the last segment of its URL
	Data           []byte // all that is stored, from offset 0 on
	Length         int64  // in bytes; no meaning if LengthDeferred is set
	LengthDeferred bool   // the client did not tell the length yet
	Metadata       string // the Upload-Metadata header as it came
	Concat         string // the Upload-Concat header as it came
	Terminated     bool   // it was deleted or forgotten; Data is what there was
}

// Complete reports whether all bytes are there.
func (u Upload) Complete() bool {
	return !u.Terminated && !u.LengthDeferred && int64(len(u.Data)) == u.Length
}

// upload is one resource. The lock is held while its fields are read or
// written, not while a body is received.
type upload struct {
	id       string
	metadata string
	concat   string
	parts    []*upload // of a final upload

	mu         sync.Mutex
	busy       bool // a PATCH is being received
	data       []byte
	length     int64
	deferred   bool
	terminated bool
	changed    time.Time
}

// extent is how much of an upload is there.
type extent struct {
	have, length int64
	deferred     bool
}

func (e extent) complete() bool { return !e.deferred && e.have == e.length }

// extent adds up the parts of a final upload.
func (u *upload) extent() extent {
	u.mu.Lock()
	e := extent{have: int64(len(u.data)), length: u.length, deferred: u.deferred}
	u.mu.Unlock()
	for _, p := range u.parts {
		part := p.extent()
		e.have += part.have
		e.length += part.length
		e.deferred = e.deferred || part.deferred
	}
	return e
}

// Uploads returns every upload that was ever created, the oldest first.
func (h *Handler) Uploads() []Upload {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Upload
	for _, u := range h.uploads {
		all = append(all, u.copy())
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	return all
}

// Upload returns the upload with the given URL, path or ID.
func (h *Handler) Upload(urlOrID string) (Upload, bool) {
	u := h.find(urlOrID)
	if u == nil {
		return Upload{}, false
	}
	return u.copy(), true
}

// Content returns the bytes of the upload with the given URL, path or ID.
func (h *Handler) Content(urlOrID string) ([]byte, bool) {
	u, ok := h.Upload(urlOrID)
	return u.Data, ok && !u.Terminated
}

// Truncate makes the server lose all but the first n bytes of an upload, as a
// crash before they were on disk would.
func (h *Handler) Truncate(urlOrID string, n int64) {
	n = max(n, 0)
	if u := h.find(urlOrID); u != nil {
		u.mu.Lock()
		u.data = u.data[:min(n, int64(len(u.data)))]
		u.mu.Unlock()
	}
}

// Forget makes the server answer 410 for an upload. One that is unknown is left
// alone.
func (h *Handler) Forget(urlOrID string) {
	if u := h.find(urlOrID); u != nil {
		u.mu.Lock()
		u.terminated = true
		u.mu.Unlock()
	}
}

// Append adds bytes to an upload behind the client's back.
func (h *Handler) Append(urlOrID string, data []byte) {
	if u := h.find(urlOrID); u != nil {
		u.mu.Lock()
		u.data = append(u.data, data...)
		u.mu.Unlock()
	}
}

// at returns the upload with exactly this path.
func (h *Handler) at(urlPath string) *upload {
	id, ok := strings.CutPrefix(urlPath, strings.TrimSuffix(h.options.BasePath, "/")+"/")
	if !ok {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.uploads[id]
}

func (h *Handler) find(urlOrID string) *upload {
	id := urlOrID
	if parsed, err := url.Parse(urlOrID); err == nil {
		id = path.Base(parsed.Path)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.uploads[id]
}

func (u *upload) copy() Upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := Upload{
		ID: u.id, Length: u.length, LengthDeferred: u.deferred,
		Metadata: u.metadata, Concat: u.concat, Terminated: u.terminated,
		Data: append([]byte(nil), u.data...),
	}
	for _, p := range u.parts {
		part := p.copy()
		c.Data = append(c.Data, part.Data...)
		c.Length += part.Length
		c.LengthDeferred = c.LengthDeferred || part.LengthDeferred
	}
	return c
}
