package contract_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/seed-175555ba/tus-go/tus"
)

// recorder records the events of a call:
//
//	created URL, resumed URL at N, acknowledged N, retry N [after DELAY],
//	complete, failed, paused, aborted
//
// Delays below a second are not recorded.
type recorder struct {
	mu           sync.Mutex
	events       []string
	requests     []string // before and after requests
	acknowledged int64
	last         tus.Progress
	problems     []string
	event        string // at which stop is called
	stop         func()
}

// reset forgets the events of the call before, and also its progress for a new upload.
func (r *recorder) reset(upload bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events, r.requests, r.problems, r.stop = nil, nil, nil, nil
	r.last = tus.Progress{}
	if upload {
		r.acknowledged = 0
	}
}

func (r *recorder) stopAt(event string, stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event, r.stop = event, stop
}

// waits reports whether the event of stopAt has not occurred.
func (r *recorder) waits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop != nil
}

// trigger calls stop if this is its event.
func (r *recorder) trigger(event string) {
	r.mu.Lock()
	stop := r.stop
	if event != r.event && !strings.HasPrefix(event, r.event+" ") {
		stop = nil
	}
	if stop != nil {
		r.stop = nil
	}
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (r *recorder) add(format string, args ...any) {
	event := fmt.Sprintf(format, args...)
	r.mu.Lock()
	r.events = append(r.events, event)
	r.mu.Unlock()
	r.trigger(event)
}

func (r *recorder) request(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, fmt.Sprintf(format, args...))
}

func (r *recorder) hooks(o options) tus.Hooks {
	return tus.Hooks{
		BeforeRequest: func(req *http.Request) error {
			if req.Method == o.hookFails {
				return errHook
			}
			if o.hookHeader != "" {
				req.Header.Set("Signature", o.hookHeader)
			}
			if req.Method != http.MethodOptions {
				r.request("before %s", req.Method)
			}
			return nil
		},
		AfterResponse: func(req *http.Request, res *tus.Response) {
			if req.Method != http.MethodOptions {
				r.request("after %s %d", req.Method, res.StatusCode)
			}
		},
		OnCreated: func(_ *tus.Uploader, c *tus.Created) { r.add("created %s", relative(c.URL)) },
		OnResumed: func(_ *tus.Uploader, res tus.Resumed) {
			if res.Concat == "" {
				r.mu.Lock()
				r.acknowledged = max(r.acknowledged, res.Offset)
				r.mu.Unlock()
			}
			r.add("resumed %s at %d", relative(res.URL), res.Offset)
		},
		OnProgress: func(_ *tus.Uploader, p tus.Progress) { r.progress(p) },
		OnRetry: func(_ *tus.Uploader, retry tus.Retry) {
			delay := ""
			if s := int(retry.Delay.Seconds()); s > 0 {
				delay = fmt.Sprintf(" after %ds", s)
			}
			r.add("retry %d%s", retry.Attempt, delay)
		},
		OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) {
			if to.Final() || to == tus.StatePaused {
				r.add("%s", to)
			}
		},
	}
}

func (r *recorder) progress(p tus.Progress) {
	r.mu.Lock()
	if p.Acknowledged < r.last.Acknowledged {
		r.problems = append(r.problems, fmt.Sprintf("progress went back from %d to %d", r.last.Acknowledged, p.Acknowledged))
	}
	r.last = p
	advanced := p.Acknowledged > r.acknowledged
	if advanced {
		r.acknowledged = p.Acknowledged
	}
	r.mu.Unlock()
	if advanced {
		r.add("acknowledged %d", p.Acknowledged)
	}
}

// prepare lets the server play the script of a call.
func (s *scriptedServer) prepare(call scenario, script []*exchange, failed func(), event func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.offers, s.data, s.idHeader = script, call.server, call.source.data(), call.requestID
	s.failed, s.event = failed, event
}

// finish returns what did not follow the script of a call.
func (s *scriptedServer) finish() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	problems := s.failures
	for _, e := range s.script {
		if !e.optional && len(problems) == 0 {
			problems = append(problems, "no request "+e.text)
		}
	}
	return problems
}

// compare returns the differences between the outcome of a call and that of the scenario.
func (f *fixture) compare(s scenario, got result) (d []string) {
	want, size := s.want, int64(len(s.source.data()))
	differ := func(what string, got, want any) {
		if got != want {
			d = append(d, fmt.Sprintf("%s is %v, want %v", what, got, want))
		}
	}
	if want.err == nil && want.status == 0 {
		differ("error", got.err, nil)
	} else {
		d = append(d, compareError(want, got.err)...)
		if want.requestID {
			var e *tus.Error
			if !errors.As(got.err, &e) || e.RequestID != f.server.lastID {
				d = append(d, fmt.Sprintf("the request has the ID %q, the error is %v", f.server.lastID, got.err))
			}
		}
	}
	if len(d) > 0 {
		return d
	}
	if got.err == nil {
		differ("URL", relative(got.url), want.url)
	}
	if u := got.upload; u != nil {
		switch {
		case got.err == nil:
			differ("offset", u.Offset, size)
		case want.offset > 0:
			differ("offset", u.Offset, want.offset)
		}
		differ("already complete", u.AlreadyComplete, want.alreadyComplete)
		if name, value, _ := strings.Cut(want.header, ": "); name != "" {
			differ(name, u.LastPatch.Header.Get(name), value)
		}
		if p := f.recorder.last; got.err == nil && !u.AlreadyComplete && (p.Acknowledged != size || p.Size != size || p.InFlight != 0) {
			d = append(d, fmt.Sprintf("the last progress is %+v, want one of all %d bytes", p, size))
		}
	}
	events := strings.Join(f.recorder.events, ", ")
	if want.events != "" {
		differ("events", events, want.events)
	}
	if !strings.HasSuffix(events, want.lastEvents) {
		differ("events", events, want.lastEvents)
	}
	if want.hooks != "" {
		differ("hooks", strings.Join(f.recorder.requests, ", "), want.hooks)
	}
	if s.store {
		differ("store", f.stored(), want.stored)
	}
	if want.waited > 0 {
		differ("wait", got.waited, want.waited)
	}
	if want.expires != "" {
		differ("expiry", got.expires.UTC().Format(http.TimeFormat), want.expires)
	}
	differ("list", strings.Join(got.listed, " "), want.listed)
	differ("offers", got.offers, want.offers)
	if s.call == info {
		differ("offset", got.info.Offset, want.offset)
		differ("length", got.info.Length, want.length)
		if !maps.Equal(got.info.Metadata, want.metadata) {
			differ("metadata", fmt.Sprint(got.info.Metadata), fmt.Sprint(want.metadata))
		}
	}
	return d
}

// compareError returns the differences between an error and that of an outcome.
func compareError(want outcome, err error) (d []string) {
	var e *tus.Error
	if !errors.As(err, &e) {
		e = &tus.Error{}
	}
	if err == nil || want.err != nil && !errors.Is(err, want.err) {
		d = append(d, fmt.Sprintf("error is %v, want %v", err, want.err))
	}
	if want.status != 0 && e.StatusCode != want.status || want.method != "" && e.Method != want.method ||
		err != nil && !strings.Contains(err.Error(), want.message) {
		d = append(d, fmt.Sprintf("error is %v, want %s %d %s", err, want.method, want.status, want.message))
	}
	return d
}
