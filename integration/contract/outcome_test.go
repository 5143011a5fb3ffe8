package contract_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
)

// differences are those between an outcome and that of the scenario.
type differences []string

func (d *differences) check(what string, got, want any) {
	if got != want {
		*d = append(*d, fmt.Sprintf("%s is %v, want %v", what, got, want))
	}
}

// checkSet is check if the scenario has a value.
func checkSet[T comparable](d *differences, what string, got, want T) {
	if want != *new(T) {
		d.check(what, got, want)
	}
}

// compare returns the differences between the outcome of a call and that of the scenario.
func (f *fixture) compare(s scenario, got result) (d differences) {
	want := s.want
	f.compareError(&d, want, got.err)
	if len(d) > 0 {
		return d // the rest is a consequence
	}
	if got.err == nil {
		d.check("URL", relative(got.url), want.url)
	}
	if got.upload != nil {
		f.compareUpload(&d, s, got)
	}
	events := strings.Join(f.recorder.events, ", ")
	checkSet(&d, "events", events, want.events)
	if !strings.HasSuffix(events, want.lastEvents) {
		d.check("events", events, want.lastEvents)
	}
	checkSet(&d, "hooks", strings.Join(f.recorder.requests, ", "), want.hooks)
	checkSet(&d, "wait", got.waited, want.waited)
	d.check("list", strings.Join(got.listed, " "), want.listed)
	d.check("offers", got.offers, want.offers)
	if s.store {
		d.check("store", f.stored(), want.stored)
	}
	if s.call == info {
		d.check("offset", got.info.Offset, want.offset)
		d.check("length", got.info.Length, want.length)
		if !maps.Equal(got.info.Metadata, want.metadata) {
			d.check("metadata", fmt.Sprint(got.info.Metadata), fmt.Sprint(want.metadata))
		}
	}
	return d
}

func (f *fixture) compareUpload(d *differences, s scenario, got result) {
	u, want, size := got.upload, s.want, int64(len(s.source.data()))
	checkSet(d, "expiry", u.Expires.UTC().Format(http.TimeFormat), want.expires)
	d.check("already complete", u.AlreadyComplete, want.alreadyComplete)
	if name, value, _ := strings.Cut(want.header, ": "); name != "" {
		d.check(name, u.LastPatch.Header.Get(name), value)
	}
	if got.err != nil {
		checkSet(d, "offset", u.Offset, want.offset)
		return
	}
	d.check("offset", u.Offset, size)
	if p := f.recorder.last; !u.AlreadyComplete && (p.Acknowledged != size || p.Size != size || p.InFlight != 0) {
		*d = append(*d, fmt.Sprintf("the last progress is %+v, want one of all %d bytes", p, size))
	}
}

func (f *fixture) compareError(d *differences, want outcome, err error) {
	if want.err == nil && want.status == 0 {
		d.check("error", err, nil)
		return
	}
	if err == nil || want.err != nil && !errors.Is(err, want.err) {
		d.check("error", err, want.err)
		return
	}
	e := new(tus.Error)
	errors.As(err, &e)
	checkSet(d, "status", e.StatusCode, want.status)
	checkSet(d, "method", e.Method, want.method)
	if !strings.Contains(err.Error(), want.message) {
		d.check("error", err, want.message)
	}
	if id := f.server.lastID; want.requestID && (id == "" || e.RequestID != id) {
		*d = append(*d, fmt.Sprintf("the ID in the error is %q, that of the last request %q", e.RequestID, id))
	}
}
