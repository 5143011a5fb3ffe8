package contract_test

import (
	"fmt"
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
