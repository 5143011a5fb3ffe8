package tus_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestHooks_ClientRunsBeforeUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.Respond(503, "")})
	var calls []string
	named := func(who string) tus.Hooks {
		add := func(what string) { calls = append(calls, who+" "+what) }
		return tus.Hooks{
			BeforeRequest: func(r *http.Request) error { add("before " + r.Method); r.Header.Add("X-Who", who); return nil },
			AfterResponse: func(r *http.Request, _ *tus.Response) { add("after " + r.Method) },
			OnCreated:     func(*tus.Uploader, *tus.Created) { add("url") },
			OnStateChange: func(_ *tus.Uploader, _, to tus.State, _ error) { add(to.String()) },
			OnRetry:       func(*tus.Uploader, tus.Retry) { add("retry") },
			OnProgress:    func(_ *tus.Uploader, p tus.Progress) { add(fmt.Sprint("progress ", p.Acknowledged)) },
		}
	}
	client := newClient(t, srv.Endpoint(), &tus.Options{Capabilities: withCreationUpload(), Hooks: named("client")})
	if _, err := client.Upload(testContext(t), tus.Bytes(nil),
		&tus.UploadOptions{Hooks: named("upload")}); err != nil {
		t.Fatal(err)
	}
	var once []string
	for i, call := range calls {
		who, what, _ := strings.Cut(call, " ")
		if want := []string{"client", "upload"}[i%2]; who != want {
			t.Fatalf("call %d is %q, want one of the %s; all: %q", i, call, want, calls)
		}
		if i%2 == 1 {
			if calls[i-1] != "client "+what {
				t.Errorf("%q is followed by %q", calls[i-1], call)
			}
			once = append(once, what)
		}
	}
	want := []string{"creating", "before POST", "after POST", "retry", "before POST", "after POST",
		"url", "progress 0", "ready", "finishing", "complete"}
	if !slices.Equal(once, want) {
		t.Errorf("calls were\n%q, want\n%q", once, want)
	}
	for _, r := range srv.Requests() {
		if got := r.Header.Values("X-Who"); !slices.Equal(got, []string{"client", "upload"}) {
			t.Errorf("%s has X-Who %q", r.Method, got)
		}
	}
}

func TestHooks_OfUploadSeeOnlyThatUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	var seen recorder
	for _, hooks := range []tus.Hooks{seen.hooks(), {}} {
		if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), &tus.UploadOptions{Hooks: hooks}); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen.urls) != 1 || seen.path() != "creating ready finishing complete" {
		t.Errorf("hooks saw %q and %q", seen.urls, seen.path())
	}
}

func TestHooks_ErrorOfUploadHookEndsUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	boom := errors.New("no signature")
	n := 0
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), &tus.UploadOptions{
		ChunkSize: 1000,
		Hooks: tus.Hooks{BeforeRequest: func(*http.Request) error {
			if n++; n > 2 {
				return boom
			}
			return nil
		}},
	})
	wantError(t, err, boom)
	wantMethods(t, srv.Handler, "POST", "PATCH")
	if res.Offset != 1000 || res.URL == "" || res.Stats.Retries != 0 {
		t.Errorf("result is %+v", res)
	}
}

func TestAfterResponse_SeesEveryResponse(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	long := strings.Repeat("long ", 40_000)
	srv.Inject(
		tustest.Fault{Method: "POST", Action: tustest.Respond(503, long, "X-Reason", "tired")},
		tustest.Fault{Method: "PATCH", Action: faults.RespondAfter(502, "<html>", "X-Reason", "proxy")},
	)
	var lines []string
	var first *tus.Response
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{AfterResponse: func(r *http.Request, resp *tus.Response) {
		lines = append(lines, fmt.Sprintf("%s %d %s %d", r.Method, resp.StatusCode, resp.Header.Get("X-Reason"), len(resp.Body)))
		if first == nil {
			first = resp
		}
	}}})
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole()); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST 503 tired 65536", "POST 201  0", "PATCH 502 proxy 6", "HEAD 200  0", "PATCH 204  0"}
	if !slices.Equal(lines, want) {
		t.Errorf("responses were %q, want %q", lines, want)
	}
	if string(first.Body) != long[:65536] {
		t.Error("the body is not the start of the response")
	}
}

func TestResult_HasResponses(t *testing.T) {
	// Some services return results in the responses to the creation and the last PATCH.
	srv := tustest.NewServer(t, nil)
	n := 0
	respond := func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		n++
		w.Header().Set("Stream-Media-Id", fmt.Sprint(r.Method, n))
		if r.Method == "PATCH" {
			faults.SetStatus(200)(w, r, h)
			fmt.Fprintf(w, `{"part":%d}`, n)
			return
		}
		h.Serve(w, r)
	}
	srv.Inject(tustest.Fault{Times: -1, Action: respond})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Creation.Header.Get("Stream-Media-Id"); got != "POST1" || res.Creation.StatusCode != 201 {
		t.Errorf("response to the creation is %d and %q", res.Creation.StatusCode, got)
	}
	if got := res.LastPatch.Header.Get("Stream-Media-Id"); got != "PATCH4" || res.LastPatch.StatusCode != 200 || string(res.LastPatch.Body) != `{"part":4}` {
		t.Errorf("response to the last PATCH is %d, %q and %q", res.LastPatch.StatusCode, got, res.LastPatch.Body)
	}
}

func TestOnCreated_RunsBeforeFirstByte(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Expires: time.Hour})
	var events []*tus.Created
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{OnCreated: func(u *tus.Uploader, c *tus.Created) {
		events = append(events, c)
		if u.Name() != "report.txt" {
			t.Errorf("the name is %q", u.Name())
		}
		if n := bytesReceived(srv); n != 0 {
			t.Errorf("%d bytes were sent before", n)
		}
	}}})
	res, err := client.Upload(testContext(t), tus.FSFile(mapFS("some/report.txt", randomBytes(3000)), "some/report.txt"), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || events[0].URL != res.URL || events[0].Response.StatusCode != 201 || time.Until(events[0].Expires) < 50*time.Minute {
		t.Errorf("events are %+v", events)
	}
	if res.Expires.Before(events[0].Expires) {
		t.Errorf("result expires %v, before %v", res.Expires, events[0].Expires)
	}
}

func TestOnCreated_RunsForRecreation(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: vanishWith(404)})
	var seen recorder
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: seen.hooks()}).Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if len(seen.urls) != 2 || seen.urls[0] == seen.urls[1] || seen.urls[1] != res.URL {
		t.Errorf("URLs were %q, the result's is %q", seen.urls, res.URL)
	}
}

func TestHooks_UploaderHasNameOfSource(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Respond(503, "")})
	names := map[string]bool{}
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{
		OnProgress:    func(u *tus.Uploader, _ tus.Progress) { names["progress "+u.Name()] = true },
		OnRetry:       func(u *tus.Uploader, _ tus.Retry) { names["retry "+u.Name()] = true },
		OnStateChange: func(u *tus.Uploader, _, _ tus.State, _ error) { names["state "+u.Name()] = true },
	}})
	if _, err := client.Upload(testContext(t), tus.FSFile(mapFS("a/b.txt", randomBytes(3000)), "a/b.txt"), chunked()); err != nil {
		t.Fatal(err)
	}
	if len(names) != 3 || !names["progress b.txt"] || !names["retry b.txt"] || !names["state b.txt"] {
		t.Errorf("names are %v", names)
	}
}

// TestHooks_GetTheirUploader runs two uploads with the same name, one of them in parts.
func TestHooks_GetTheirUploader(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: 4, Action: tustest.CutAfter(100)})
	var mu sync.Mutex
	calls := map[*tus.Uploader]map[string]int{}
	note := func(u *tus.Uploader, event string) {
		if u != nil {
			_, _, _ = u.State(), u.Stats(), u.Offset() // calls in hooks are allowed
		}
		mu.Lock()
		defer mu.Unlock()
		if u.Name() != "" {
			t.Errorf("%s: name is %q", event, u.Name())
		}
		if calls[u] == nil {
			calls[u] = map[string]int{}
		}
		calls[u][event]++
	}
	client := newClient(t, srv.Endpoint(), &tus.Options{Store: &fullStore{}, Retry: retryOften(), Hooks: tus.Hooks{
		OnCreated:     func(u *tus.Uploader, _ *tus.Created) { note(u, "url") },
		OnStateChange: func(u *tus.Uploader, _, _ tus.State, _ error) { note(u, "state") },
		OnProgress:    func(u *tus.Uploader, _ tus.Progress) { note(u, "progress") },
		OnRetry:       func(u *tus.Uploader, _ tus.Retry) { note(u, "retry") },
		OnStoreError:  func(u *tus.Uploader, _ error) { note(u, "store") },
	}})
	data := randomBytes(unequalSize)
	var uploaders []*tus.Uploader
	var g errgroup.Group
	for _, opts := range []*tus.UploadOptions{unequal(), chunked()} {
		u := created(t, client, tus.Bytes(data), opts)
		uploaders = append(uploaders, u)
		g.Go(func() error { _, err := u.Run(testContext(t)); return err })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if retries := calls[uploaders[0]]["retry"] + calls[uploaders[1]]["retry"]; len(calls) != 2 || retries != 4 {
		t.Errorf("%d retries of %d uploads were reported", retries, len(calls))
	}
	for i, urls := range []int{5, 1} {
		if got := calls[uploaders[i]]; got["url"] != urls || got["state"] == 0 || got["progress"] == 0 || got["store"] == 0 {
			t.Errorf("upload %d: calls were %v", i, got)
		}
		wantStored(t, srv.Handler, uploaders[i].URL(), data)
	}

	srv.Inject(tustest.Fault{Method: "DELETE", Action: tustest.CutBefore()}, tustest.Fault{Method: "POST", Action: tustest.Respond(503, "")})
	if err := client.Terminate(testContext(t), uploaders[1].URL()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(testContext(t), tus.CreateOptions{Size: 10, Partial: true}); err != nil {
		t.Fatal(err)
	}
	if got := calls[nil]; got["retry"] != 2 || got["url"] != 1 {
		t.Errorf("calls without an Uploader were %v", got)
	}
}

func TestOnRetry_GetsAttemptDelayAndError(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(
			tustest.Fault{Method: "PATCH", Skip: 1, Action: tustest.Respond(429, "slow down", "Retry-After", "20")},
			tustest.Fault{Method: "HEAD", Action: tustest.Respond(423, "")},
			tustest.Fault{Method: "HEAD", Action: tustest.CutBefore()},
		)
		var events []tus.Retry
		var at []time.Time
		hooks := tus.Hooks{OnRetry: func(_ *tus.Uploader, r tus.Retry) { events, at = append(events, r), append(at, time.Now()) }}
		begin := time.Now()
		if _, err := newClient(&tus.Options{Hooks: hooks}).Upload(t.Context(), tus.Bytes(randomBytes(3000)), chunked()); err != nil {
			t.Fatal(err)
		}
		if len(events) < 2 {
			t.Fatalf("events are %+v", events)
		}
		var e *tus.Error
		if !errors.As(events[0].Err, &e) || e.Method != "PATCH" || e.Offset != 1000 || e.RetryAfter != 20*time.Second || e.Message != "slow down" {
			t.Errorf("first reason is %#v", events[0].Err)
		}
		if statusOf(events[1].Err) != 423 {
			t.Errorf("second reason is %v", events[1].Err)
		}
		for i, event := range events {
			if event.Attempt != i+1 {
				t.Errorf("event %d is attempt %d", i, event.Attempt)
			}
			if !at[i].Equal(begin) { // before the wait
				t.Errorf("event %d came %v late", i, at[i].Sub(begin))
			}
			begin = begin.Add(event.Delay)
		}
	})
}

func TestHooks_InfoAndTerminateReportRetries(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(
		tustest.Fault{Method: "HEAD", Times: 2, Action: tustest.Respond(503, "")},
		tustest.Fault{Method: "DELETE", Times: 3, Action: tustest.Respond(423, "")},
	)
	var seen recorder
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: seen.hooks()})
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Info(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	if err := client.Terminate(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	var attempts []int
	for _, e := range seen.retries {
		attempts = append(attempts, e.Attempt)
	}
	if !slices.Equal(attempts, []int{1, 2, 1, 2, 3}) {
		t.Errorf("attempts are %v", attempts)
	}
}

func TestHooks_OfUploadRunOneAtATime(t *testing.T) {
	// The server responds before it has read the body, so AfterResponse runs while bytes
	// are still sent.
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: 4, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		w.WriteHeader(503)
		control.Flush()
		io.Copy(io.Discard, r.Body)
	}})
	calls := 0 // not locked, for the race detector
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{
		OnProgress:    func(*tus.Uploader, tus.Progress) { calls++ },
		BeforeRequest: func(*http.Request) error { calls++; return nil },
		AfterResponse: func(*http.Request, *tus.Response) { calls++ },
		OnStateChange: func(*tus.Uploader, tus.State, tus.State, error) { calls++ },
		OnRetry:       func(*tus.Uploader, tus.Retry) { calls++ },
	}}).Upload(testContext(t), tus.Bytes(randomBytes(8_000_000)), whole())
	if err != nil || calls == 0 {
		t.Fatalf("%d calls: %v", calls, err)
	}
}
