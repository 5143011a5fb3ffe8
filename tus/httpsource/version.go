package httpsource

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// version has the size and the validators of the data. It decides whether two responses
// have the same bytes.
type version struct {
	size    int64
	sized   bool   // size is known
	etag    string // as received, weak or strong; empty if there is none
	date    string // Last-Modified as received
	modTime time.Time
	// strong is set if equal validators mean equal bytes (RFC 9110, 8.8.1).
	strong bool
	// ranges is set if the ranges that the server sends can be combined.
	ranges bool
}

// validators reads the validators of a response. recent reports whether Last-Modified
// would be strong if it were older: there may have been two changes within its second.
func validators(h http.Header) (v version, recent bool) {
	v.etag, v.date = h.Get("Etag"), h.Get("Last-Modified")
	modified, err := http.ParseTime(v.date)
	if err != nil {
		v.date = ""
	} else {
		v.modTime = modified.UTC()
	}
	if strongETag(v.etag) {
		v.strong = true
		return v, false
	}
	if v.date == "" {
		return v, false
	}
	// RFC 9110, 8.8.2.2; both dates are of the server's clock.
	asked, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return v, false
	}
	v.strong = asked.Sub(modified) >= time.Second
	return v, !v.strong
}

func strongETag(etag string) bool {
	return len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"'
}

// ifRange returns the value of If-Range, "" if none may be sent: never a weak ETag, and no
// date if there is an ETag (RFC 9110, 13.1.5). The response is compared in any case.
func (v *version) ifRange() string {
	switch {
	case strongETag(v.etag):
		return v.etag
	case v.etag == "" && v.strong:
		return v.date
	}
	return ""
}

// compare returns an error if the validators of a response are not those of v.
func (v *version) compare(resp *http.Response) error {
	got, _ := validators(resp.Header)
	if got.etag != v.etag {
		return fmt.Errorf("%w: ETag was %s, now %s", tus.ErrSourceChanged, httpx.QuoteShort(v.etag), httpx.QuoteShort(got.etag))
	}
	if strongETag(v.etag) || got.date == v.date {
		return nil
	}
	if got.date == "" && resp.StatusCode == http.StatusPartialContent && v.ifRange() != "" {
		return nil // a response to If-Range need not repeat the date
	}
	return fmt.Errorf("%w: Last-Modified was %s, now %s", tus.ErrSourceChanged, httpx.QuoteShort(v.date), httpx.QuoteShort(got.date))
}

// request returns the header of a request for the bytes from offset, at most count of them
// if count is above 0.
func (v *version) request(offset, count int64) http.Header {
	h := http.Header{}
	if !v.ranges {
		return h
	}
	end := ""
	if count > 0 && count < v.size-offset {
		end = fmt.Sprint(offset + count - 1)
	}
	h.Set("Range", fmt.Sprintf("bytes=%d-%s", offset, end))
	if validator := v.ifRange(); validator != "" {
		h.Set("If-Range", validator)
	}
	return h
}

// position checks that a response has this version, and moves f to offset.
func (v *version) position(f *flow, offset int64) error {
	switch status := f.resp.StatusCode; {
	case status == http.StatusPartialContent && v.ranges:
		return v.positionRange(f, offset)
	case status == http.StatusOK:
		return v.positionWhole(f, offset)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return f.failed(fmt.Errorf("%w: it had %d bytes, now it has no byte %d", tus.ErrSourceChanged, v.size, offset))
	}
	return f.unexpected()
}

func (v *version) positionRange(f *flow, offset int64) error {
	if err := f.checkEncoding(); err != nil {
		return err
	}
	if err := v.compare(f.resp); err != nil {
		return f.failed(err)
	}
	part, err := f.contentRange()
	switch {
	case err != nil:
		return err
	case !part.sized || part.total != v.size:
		return f.failed(fmt.Errorf("%w: it had %d bytes, now %s", tus.ErrSourceChanged, v.size,
			httpx.QuoteShort(f.resp.Header.Get("Content-Range"))))
	case part.start != offset:
		return f.failed(fmt.Errorf("requested bytes from offset %d, received them from %d", offset, part.start))
	}
	f.left = part.end - part.start
	return nil
}

// positionWhole is position for a response with all data, which a server may always send
// instead of a range.
func (v *version) positionWhole(f *flow, offset int64) error {
	if err := f.checkEncoding(); err != nil {
		return err
	}
	if err := v.compare(f.resp); err != nil {
		return f.failed(err)
	}
	switch {
	case v.sized && f.left >= 0 && f.left != v.size:
		return f.failed(fmt.Errorf("%w: it had %d bytes, now %d", tus.ErrSourceChanged, v.size, f.left))
	case !v.sized && f.endsWithConnection():
		return f.failed(errEndless)
	}
	if offset == 0 {
		return nil
	}
	return f.skip(offset)
}

// notRecoverable returns the error for data without a strong validator that would be read
// from the middle.
func notRecoverable(offset int64) error {
	return fmt.Errorf("%w from byte %d on: the server has no strong ETag or Last-Modified to prove that the bytes are the same",
		tus.ErrNotRecoverable, offset)
}
