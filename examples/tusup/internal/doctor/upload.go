package doctor

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	octets   = "application/offset+octet-stream"
	filename = "tusup-doctor" // by which an administrator recognizes the uploads

	// clientBuffer is the maximum number of bytes that the client has not sent when it waits
	// for more.
	clientBuffer = 64 * kib
	// lockTries is how often a request is sent while an interrupted one holds a lock.
	lockTries = 12
	// lateTries is how often the offset is requested if it did not move.
	lateTries = 8
)

// upload is an upload on the server.
type upload struct {
	url     *url.URL
	trusted bool // all servers that chose url were trusted
	size    int64
	stored  int64 // bytes, as far as known
}

// create creates an upload. body is the number of bytes that the creation carries, -1 for
// none. The error is about a request without a response; a refusal has no upload.
func (s *session) create(ctx context.Context, size, body int64, header map[string]string) (*upload, *response, error) {
	all := map[string]string{"Upload-Length": strconv.FormatInt(size, 10), "Upload-Metadata": s.metadata()}
	maps.Copy(all, header)
	for _, name := range []string{"Upload-Defer-Length", "Upload-Concat"} {
		if value := header[name]; value != "" && value != "partial" {
			delete(all, "Upload-Length")
		}
	}
	r := request{method: http.MethodPost, url: s.endpoint, header: all, body: noBytes}
	if body >= 0 {
		all["Content-Type"] = octets
		r.body, r.size = bytesAt(0, body), body
	}
	resp, err := s.send(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if !resp.succeeded() {
		return nil, resp, nil
	}
	to, err := resp.location()
	if err != nil {
		return nil, resp, nil
	}
	u := &upload{url: to, trusted: resp.trusted && s.trusts(to), size: size}
	s.uploads = append(s.uploads, u)
	u.stored, _ = offset(resp)
	return u, resp, nil
}

// metadata returns the value of Upload-Metadata.
func (s *session) metadata() string {
	all := map[string]string{"filename": filename}
	maps.Copy(all, s.config.Metadata)
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, strings.TrimSpace(key+" "+base64.StdEncoding.EncodeToString([]byte(all[key]))))
	}
	return strings.Join(pairs, ",")
}

// patch sends n bytes from the offset at.
func (s *session) patch(ctx context.Context, u *upload, at, n int64, header map[string]string) (*response, error) {
	r := u.request(http.MethodPatch, at, header)
	r.body, r.size = bytesAt(at, n), n
	return s.patched(ctx, u, r)
}

// patched sends a PATCH and records the offset.
func (s *session) patched(ctx context.Context, u *upload, r request) (*response, error) {
	resp, err := s.send(ctx, r)
	u.record(resp)
	return resp, err
}

// record records the offset of a response, which may be nil.
func (u *upload) record(resp *response) {
	if n, ok := offset(resp); ok && resp.succeeded() {
		u.stored = n
	}
}

// request returns a request for an upload. header replaces fields of a PATCH at an offset.
func (u *upload) request(method string, at int64, header map[string]string) request {
	all := map[string]string{}
	if method == http.MethodPatch {
		all["Content-Type"], all["Upload-Offset"] = octets, strconv.FormatInt(at, 10)
	}
	maps.Copy(all, header)
	return request{method: method, url: u.url, header: all, withheld: !u.trusted}
}

// head requests the state of an upload. It waits a short time for a lock.
func (s *session) head(ctx context.Context, u *upload) (*response, error) {
	resp, err := s.sendUnlocked(ctx, u.request(http.MethodHead, 0, map[string]string{"Cache-Control": "no-cache, no-store"}))
	u.record(resp)
	return resp, err
}

// sendUnlocked sends a request, and again for a short time while the upload is locked.
func (s *session) sendUnlocked(ctx context.Context, r request) (*response, error) {
	for try := 1; ; try++ {
		resp, err := s.send(ctx, r)
		if err != nil || !isLocked(resp) || try == lockTries {
			return resp, err
		}
		s.wait(ctx)
	}
}

// interrupt sends the first sent of n bytes from the offset at and cuts the connection. It
// returns the response if the server responded earlier, otherwise nil.
func (s *session) interrupt(ctx context.Context, u *upload, at, n, sent int64) *response {
	r := u.request(http.MethodPatch, at, nil)
	r.size = n
	r.body = func() io.Reader {
		return io.MultiReader(bytesAt(at, sent)(), cutter(func() { s.wait(ctx) }))
	}
	resp, err := s.send(ctx, r)
	if err != nil {
		return nil // the cut
	}
	return resp
}

// cutter ends a body with an error, after a wait in which the server reads the last byte.
type cutter func()

var errCut = errors.New("cut")

func (wait cutter) Read([]byte) (int, error) {
	wait()
	return 0, errCut
}

// remove deletes an upload. It returns the last response. The upload stays in s.uploads if
// it may still exist.
func (s *session) remove(ctx context.Context, u *upload) (*response, error) {
	resp, err := s.sendUnlocked(ctx, u.request(http.MethodDelete, 0, nil))
	if err != nil {
		return nil, err
	}
	if deleted := resp.succeeded() || isGone(resp); deleted && (s.deletes || s.vanished(ctx, u, resp)) {
		s.uploads = slices.DeleteFunc(s.uploads, func(other *upload) bool { return other == u })
	}
	return resp, nil
}

// vanished reports whether the server no longer has an upload after this response to DELETE.
// A 404 may also be about the method.
func (s *session) vanished(ctx context.Context, u *upload, deletion *response) bool {
	resp, err := s.head(ctx, u)
	return err == nil && (isGone(resp) || deletion.succeeded() && !resp.succeeded() && resp.StatusCode < 500)
}

// cleanUp deletes all uploads, also after ctx ended, and reports what is left.
func (s *session) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	s.cleaning = true
	created, bytes := len(s.uploads), int64(0)
	for _, u := range slices.Backward(slices.Clone(s.uploads)) { // final uploads before their parts
		if ctx.Err() == nil {
			s.remove(ctx, u) // what fails is reported below
		}
	}
	if created == 0 {
		return
	}
	f := Finding{Check: "cleanup", Outcome: OK, Detail: "all test uploads were deleted"}
	if n := len(s.uploads); n > 0 {
		f.Outcome = Warning
		var urls []string
		for _, u := range s.uploads {
			bytes += u.stored
			urls = append(urls, withoutUser(u.url))
		}
		f.Detail = fmt.Sprintf("test uploads left on the server: %d, with %s: %s", n, sizeText(bytes), strings.Join(urls, " "))
		f.Advice = fmt.Sprintf("ask the administrator to delete them (metadata filename %s)", filename)
	}
	s.add(f)
}

// offset returns the Upload-Offset of a response.
func offset(r *response) (int64, bool) {
	if r == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(r.Header.Get("Upload-Offset"), 10, 63)
	return int64(n), err == nil
}

func isGone(r *response) bool {
	return r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone
}

// isLocked reports whether another request, such as an interrupted one, holds the upload.
func isLocked(r *response) bool {
	return r.StatusCode == http.StatusLocked || r.StatusCode == http.StatusConflict
}

// wait returns after Config.Wait or when ctx ends.
func (s *session) wait(ctx context.Context) {
	timer := time.NewTimer(s.config.Wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// noBytes is an empty body, which sends Content-Length: 0.
func noBytes() io.Reader { return strings.NewReader("") }

// bytesAt returns n bytes of the test data from the offset at.
func bytesAt(at, n int64) func() io.Reader {
	return func() io.Reader { return io.LimitReader(&noise{at}, n) }
}

// noise is the test data. It is the same in each run, and differs in each block of 1 MiB.
type noise struct{ at int64 }

func (n *noise) Read(p []byte) (int, error) {
	for i := range p {
		x := uint64(n.at) * 0x9e3779b97f4a7c15
		p[i] = byte(x >> 56)
		n.at++
	}
	return len(p), nil
}

// content returns n bytes of the test data.
func content(n int64) []byte {
	data := make([]byte, n)
	(&noise{}).Read(data)
	return data
}
