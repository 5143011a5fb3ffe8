package tustest

import (
	"net/url"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Upload is a copy of an upload on the server.
type Upload struct {
	ID         string // the last segment of its URL
	Data       []byte // the stored bytes
	Length     int64  // in bytes, -1 while it is deferred
	Metadata   string // the Upload-Metadata header of the creation, or that of a file name and media type
	Concat     string // the Upload-Concat header of the creation
	Terminated bool   // deleted by the client or Forget; Data is unchanged
	Interop    int    // the version of the IETF draft that created it, 0 for tus 1.0.0
}

// Complete reports whether all bytes are stored.
func (u Upload) Complete() bool {
	return !u.Terminated && int64(len(u.Data)) == u.Length
}

// upload is an upload resource. mu is held while its fields are read or written, not
// while a body is received.
type upload struct {
	id       string
	metadata string
	concat   string
	parts    []*upload // of a final upload
	interop  int       // as Upload.Interop

	mu         sync.Mutex
	busy       bool // a PATCH is being received
	data       []byte
	length     int64
	deferred   bool
	terminated bool
	changed    time.Time
	draft      draftState
}

// extent is the offset and length of an upload.
type extent struct {
	have, length int64
	deferred     bool
}

func (e extent) complete() bool { return !e.deferred && e.have == e.length }

// extent returns the extent of u, including its parts if it is a final upload.
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

// Uploads returns all uploads in order of creation, including deleted ones.
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

// Truncate drops all bytes of an upload after the first n, like a crash before they
// were on disk. It does nothing if the upload is unknown.
func (h *Handler) Truncate(urlOrID string, n int64) {
	n = max(n, 0)
	if u := h.find(urlOrID); u != nil {
		u.mu.Lock()
		u.data = u.data[:min(n, int64(len(u.data)))]
		u.mu.Unlock()
	}
}

// Forget deletes an upload: further requests get 410. It does nothing if the upload
// is unknown.
func (h *Handler) Forget(urlOrID string) {
	if u := h.find(urlOrID); u != nil {
		u.mu.Lock()
		u.terminated = true
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
		ID: u.id, Length: u.length, Metadata: u.metadata, Concat: u.concat, Terminated: u.terminated,
		Interop: u.interop, Data: slices.Clone(u.data),
	}
	deferred := u.deferred
	for _, p := range u.parts {
		part := p.copy()
		c.Data = append(c.Data, part.Data...)
		c.Length += part.Length
		deferred = deferred || part.Length < 0
	}
	if deferred {
		c.Length = unknownLength
	}
	return c
}
