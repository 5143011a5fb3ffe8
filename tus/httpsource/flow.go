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

// maxDrain is how much of a body is read so that its connection can be reused: enough for
// the bodies of redirects and errors.
const maxDrain = 4 << 10

// flow is a response and its body. The stall timeout cuts it.
type flow struct {
	url      string               // of the request, for errors
	secrets  func() httpx.Secrets // that errors must not show
	resp     *http.Response
	left     int64        // bytes to receive; -1 if unknown
	withheld httpx.Origin // for which Options.Header was left out; zero if it was not
	err      error        // that ended the body

	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	unbind func() bool // from the context that ends it
	stall  time.Duration
	timer  *time.Timer // stall timer; runs while the flow waits for the server
}

// bind makes the flow end with ctx instead of the context that it was bound to.
func (f *flow) bind(ctx context.Context) {
	f.release()
	f.unbind = context.AfterFunc(ctx, func() { f.cancel(context.Cause(ctx)) })
}

// release makes the flow outlive the context that it is bound to. It returns false if
// that context has ended.
func (f *flow) release() bool { return f.unbind == nil || f.unbind() }

func (f *flow) arm() {
	switch {
	case f.stall == 0:
	case f.timer == nil:
		f.timer = time.AfterFunc(f.stall, func() {
			f.cancel(fmt.Errorf("%w: no data for %v", tus.ErrStalled, f.stall))
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

// Read reads the body up to the end of its range. It returns an error again in later calls,
// also io.EOF, which may occur before the length that the server sent.
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

// skip discards the next n bytes. If there are fewer, the source changed only if the body
// was whole: a broken connection is retried, while a change ends the upload.
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

// close ends the flow. A connection with few bytes left is reused.
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

// errEndless is returned for a body whose end cannot be verified.
var errEndless = errors.New("body has neither length nor chunks: its end cannot be distinguished from a broken connection")

// endsWithConnection reports whether the body ends with the connection, so that a broken
// one looks complete. The end of TLS does not help: crypto/tls does not require it, as many
// servers do not send it.
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
			return f.failed(fmt.Errorf("Content-Encoding is %s, although identity was requested", httpx.QuoteShort(encoding)))
		}
	}
	return nil
}

// failed returns the error for a response that cannot be used.
func (f *flow) failed(cause error) error {
	return f.error(tus.Error{StatusCode: f.resp.StatusCode, Err: cause})
}

// unexpected returns the error for an unexpected status.
func (f *flow) unexpected() error {
	e := tus.Error{StatusCode: f.resp.StatusCode}
	e.RetryAfter, _ = httpx.RetryAfter(f.resp.Header, time.Now())
	if refused := e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden; refused && f.withheld != (httpx.Origin{}) {
		e.Err = fmt.Errorf("Options.Header was not sent, because a redirect led to %v", f.withheld)
	}
	return f.error(e)
}

// broken returns the error for a response that is missing or incomplete. It has no status.
func (f *flow) broken(cause error) error {
	if stalled := context.Cause(f.ctx); errors.Is(stalled, tus.ErrStalled) {
		cause = stalled
	}
	return f.error(tus.Error{Err: httpx.DoError(cause)})
}

// error adds the request to an error, without secrets.
func (f *flow) error(e tus.Error) error {
	e.Method, e.URL, e.Err = http.MethodGet, f.url, f.secrets().Redact(e.Err)
	return &e
}
