package progress

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	// preparingAfter is how long an upload takes to prepare before that is shown.
	preparingAfter = time.Second
	// quietAfter is how long no data moves before that is shown.
	quietAfter = 3 * time.Second
)

// wait is why an upload waits; its zero value is that it does not.
type wait struct {
	cause string
	retry int       // number of the next retry, 0 if none follows
	until time.Time // when the retry starts
}

// reason is why no bytes move, such as "connection refused, retry 4 in 4 s".
type reason struct {
	cause  string // "" if bytes move, or have not moved for a short time only
	detail string // before the time, such as "retry 4 in "
	time   time.Duration
}

// reason returns why no bytes move. It requires the mutex of the Display.
func (i *Item) reason(now time.Time) reason {
	w, quiet := i.wait, now.Sub(i.since)
	switch {
	case w.retry > 0 && now.Before(w.until):
		// Rounded up, so that it never counts down to 0.
		return reason{w.cause, fmt.Sprintf("retry %d in ", w.retry), w.until.Sub(now) + time.Second - 1}
	case w.retry > 0:
		return reason{w.cause, fmt.Sprintf("retry %d running for ", w.retry), now.Sub(w.until)}
	case w.cause != "":
		return reason{w.cause, "", quiet}
	case i.state == tus.StateIdle && quiet >= preparingAfter:
		return reason{"preparing", "", quiet}
	case i.state == tus.StateIdle || quiet < quietAfter:
		return reason{}
	}
	response := reason{"waiting for the server's response", "", quiet}
	switch i.state {
	case tus.StateFinishing, tus.StatePaused, tus.StateComplete, tus.StateFailed, tus.StateAborted:
		return reason{}
	case tus.StateReady, tus.StateSending:
		if i.sent == i.size {
			return response
		}
	default:
		if i.size >= 0 { // else the request may have data that standard input does not provide
			return response
		}
	}
	return reason{"no data moved", "", quiet}
}

// fit returns the text for a row. If it is too narrow, the detail is missing, and then the
// end of the cause.
func (r reason) fit(width int) string {
	end := text.Duration(r.time)
	if full := r.cause + ", " + r.detail + end; text.Columns(full) <= width {
		return full
	}
	return text.Cut(r.cause, width-len(", "+end)) + ", " + end
}

// causeOf returns a few words for the error of a request, without URL and addresses: they
// must fit into a row beside a name. These are the status, or the words of the innermost
// error.
func causeOf(err error) string {
	var response *tus.Error
	if !errors.As(err, &response) || response.StatusCode == 0 {
		return innermost(err)
	}
	status := http.StatusText(response.StatusCode)
	if status == "" && response.Err != nil {
		status = innermost(response.Err)
	}
	return fmt.Sprintf("%s (%d)", strings.ToLower(cmp.Or(status, "unexpected response")), response.StatusCode)
}

// innermost returns the words of the innermost error.
func innermost(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns.Err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	}
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return text.Line(err.Error())
}
