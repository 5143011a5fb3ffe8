package tustest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// errCut is returned for a body that ended before its Content-Length. The client has
// disconnected.
var errCut = errors.New("body cut short")

var errNoRoom = refuse(http.StatusRequestEntityTooLarge, "body exceeds the length of the upload")

// unknownLength is the length while it is deferred, and that of a request without
// Upload-Length.
const unknownLength = -1

// reserve locks the upload for a PATCH.
func (u *upload) reserve(at, length int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch have := int64(len(u.data)); {
	case u.busy:
		return refuse(http.StatusLocked, "upload is locked")
	case at != have:
		return refuse(http.StatusConflict, "upload is at another offset")
	case length != unknownLength && !u.deferred:
		return refuse(http.StatusBadRequest, "length is already known")
	case length != unknownLength && length < have:
		return refuse(http.StatusBadRequest, "Upload-Length is less than the offset")
	}
	u.busy = true
	return nil
}

// receive stores the body of a request that has reserved the upload: as it is read,
// or with a checksum only after verification (section Checksum). It also stores a
// known length.
func (h *Handler) receive(u *upload, r *http.Request, length int64) error {
	u.mu.Lock()
	room := int64(math.MaxInt64)
	switch have := int64(len(u.data)); {
	case length != unknownLength:
		room = length - have
	case !u.deferred:
		room = u.length - have
	case h.options.MaxSize > 0:
		room = h.options.MaxSize - have
	}
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.busy = false
		u.changed = time.Now()
		u.mu.Unlock()
	}()
	if r.ContentLength > room {
		return errNoRoom
	}
	_, trailer := r.Trailer["Upload-Checksum"]
	if r.Header.Get("Upload-Checksum") != "" || trailer {
		data, err := h.verified(r, room)
		if err != nil {
			return err
		}
		u.store(data, length)
		return nil
	}
	u.store(nil, length)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buf)
		if int64(n) > room {
			return errNoRoom
		}
		room -= int64(n)
		u.store(buf[:n], unknownLength)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errCut
		}
	}
}

// store appends bytes, and sets the length if it is known.
func (u *upload) store(data []byte, length int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.data = append(u.data, data...)
	if length != unknownLength {
		u.length, u.deferred = length, false
	}
}

// verified reads a body and returns it if it matches the checksum of the request.
func (h *Handler) verified(r *http.Request, room int64) ([]byte, error) {
	if !h.supports("checksum") {
		return nil, refuse(http.StatusBadRequest, "no checksum")
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, errCut
	}
	value := r.Header.Get("Upload-Checksum")
	if value == "" {
		if !h.supports("checksum-trailer") {
			return nil, refuse(http.StatusBadRequest, "no checksum-trailer")
		}
		value = r.Trailer.Get("Upload-Checksum")
	}
	name, encoded, _ := strings.Cut(value, " ")
	sum := newHash(name)
	if sum == nil || !slices.Contains(h.options.ChecksumAlgorithms, name) {
		return nil, refuse(http.StatusBadRequest, "checksum algorithm %q is not supported", name)
	}
	want, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "bad Upload-Checksum")
	}
	sum.Write(data)
	if !bytes.Equal(sum.Sum(nil), want) {
		return nil, refuse(460, "checksum mismatch")
	}
	if int64(len(data)) > room {
		return nil, errNoRoom
	}
	return data, nil
}

func newHash(name string) hash.Hash {
	switch name {
	case "sha1":
		return sha1.New()
	case "md5":
		return md5.New()
	case "sha256":
		return sha256.New()
	case "sha512":
		return sha512.New()
	case "crc32":
		return crc32.NewIEEE()
	}
	return nil
}
