package httpsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// maxDrain is how much of a body is read so that its connection can be used
// again: enough for the bodies of redirects and errors.
const maxDrain = 4 << 10

// flow is an answer and its body. A wait of the stall timeout cuts it.
type flow struct {
	url      string               // of the request, for errors
	secrets  func() httpx.Secrets // that errors must not show
	resp     *http.Response
	left     int64        // bytes to come; -1 if only the end of the body tells
	withheld httpx.Origin // for which Options.Header was left out; zero if it was not
	err      error        // that ended the body

	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	unbind func() bool // from the context that ends it
	stall  time.Duration
	timer  *time.Timer // runs while something is waited for
}

// bind lets the flow end with ctx, and no longer with the one before.
func (f *flow) bind(ctx context.Context) {
	f.release()
	f.unbind = context.AfterFunc(ctx, func() { f.cancel(context.Cause(ctx)) })
}

// release lets the flow outlive the context that it is bound to. It is false if
// that has ended.
func (f *flow) release() bool { return f.unbind == nil || f.unbind() }

func (f *flow) arm() {
	switch {
	case f.stall == 0:
	case f.timer == nil:
		f.timer = time.AfterFunc(f.stall, func() {
			f.cancel(fmt.Errorf("%w: nothing came for %v", tus.ErrStalled, f.stall))
		})
	default:
		f.timer.Reset(f.stall)
	}
}

func (f *flow) disarm() {
	if f.timer != nil {
		f.timer.Stop()
	}
}

// Read reads the body, but not further than the range that it is of. An error
// stays, and io.EOF too, which may come before the end that the server promised.
func (f *flow) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	if f.err != nil {
		return 0, f.err
	}
	if f.left > 0 {
		p = p[:min(int64(len(p)), f.left)]
	}
	f.arm()
	n, err := f.resp.Body.Read(p)
	f.disarm()
	if f.left > 0 {
		f.left -= int64(n)
	}
	f.err = err
	if err != nil && err != io.EOF {
		f.err = f.broken(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, f.err
}

// skip reads the next n bytes and throws them away. That they are not there is a
// change only where the body was whole: a connection that broke is tried again,
// while a change ends the upload for good.
func (f *flow) skip(n int64) error {
	skipped, err := io.CopyN(io.Discard, f, n)
	switch {
	case err == io.EOF && (f.left > 0 || f.endsWithConnection()):
		return f.broken(io.ErrUnexpectedEOF)
	case err == io.EOF:
		return f.failed(fmt.Errorf("%w: it ended %d bytes early", tus.ErrSourceChanged, n-skipped))
	}
	return err
}

// close ends the flow. A connection with little left on it can be used again.
func (f *flow) close() {
	if f.resp != nil {
		if f.left > 0 && f.left <= maxDrain {
			_, _ = io.Copy(io.Discard, f)
		}
		f.resp.Body.Close()
	}
	f.release()
	f.disarm()
	f.cancel(nil)
}

// abort ends the flow at once.
func (f *flow) abort() {
	f.cancel(nil)
	f.close()
}

// errEndless is a body that cannot be trusted to be whole.
var errEndless = errors.New("body has neither length nor chunks, so that its end cannot be told from a broken connection")

// endsWithConnection reports whether the body ends where the connection does, so
// that one which broke looks complete. That TLS has an end of its own is no help:
// crypto/tls does without it, as many servers do.
func (f *flow) endsWithConnection() bool {
	r := f.resp
	return r.ContentLength < 0 && r.ProtoMajor == 1 && len(r.TransferEncoding) == 0
}

// checkEncoding makes sure that the bytes are those of the data itself.
func (f *flow) checkEncoding() error {
	if f.resp.Uncompressed {
		return f.failed(errors.New("HTTP client decompresses what it receives"))
	}
	// A list may be spread over several lines, and have empty entries.
	encodings := strings.Join(f.resp.Header.Values("Content-Encoding"), ",")
	for encoding := range strings.SplitSeq(encodings, ",") {
		encoding = strings.TrimSpace(encoding)
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return f.failed(fmt.Errorf("Content-Encoding is %s, although identity was asked for", httpx.QuoteShort(encoding)))
		}
	}
	return nil
}

// failed makes the error for a response that cannot be used.
func (f *flow) failed(cause error) error {
	return f.error(tus.Error{StatusCode: f.resp.StatusCode, Err: cause})
}

// unexpected makes the error for a status that is not the one hoped for.
func (f *flow) unexpected() error {
	e := tus.Error{StatusCode: f.resp.StatusCode}
	e.RetryAfter, _ = httpx.RetryAfter(f.resp.Header, time.Now())
	if refused := e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden; refused && f.withheld != (httpx.Origin{}) {
		e.Err = fmt.Errorf("Options.Header was not sent, as a redirect led to %v", f.withheld)
	}
	return f.error(e)
}

// broken makes the error for a response that did not come, or not to its end: as
// if there was none, it has no status.
func (f *flow) broken(cause error) error {
	if stalled := context.Cause(f.ctx); errors.Is(stalled, tus.ErrStalled) {
		cause = stalled
	}
	return f.error(tus.Error{Err: httpx.DoError(cause)})
}

// error completes an error about this request, without secrets.
func (f *flow) error(e tus.Error) error {
	e.Method, e.URL, e.Err = http.MethodGet, f.url, f.secrets().Redact(e.Err)
	return &e
}
