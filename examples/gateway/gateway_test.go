package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestForm_FileIsStored(t *testing.T) {
	for _, size := range []int{0, 1, 999, 1000, 1001, 2000, 2001, 123_456} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newSite(t, setup{})
			data := noise(size)
			got := s.send("/uploads", newForm(t, "größe.bin", data, "title", "a title"))
			if got.code != http.StatusAccepted || got.location != "/uploads/"+got.status.ID {
				t.Fatalf("response is %+v", got)
			}
			ended := s.get(got.location + "?wait=true")
			if ended.code != http.StatusOK || ended.status.State != complete {
				t.Fatalf("status is %+v", ended)
			}
			if st := ended.status; st.Stored != int64(size) || st.Received != int64(size) || st.Filename != "größe.bin" {
				t.Errorf("status is %+v", st)
			}
			s.wantStored(ended.status.URL, data)
			meta := s.metadata(ended.status.URL)
			if meta["title"] != "a title" || meta["filename"] != "größe.bin" || meta["filetype"] != "application/octet-stream" {
				t.Errorf("metadata is %v", meta)
			}
		})
	}
}

func TestID_IsChosenByPage(t *testing.T) {
	s := newSite(t, setup{})
	first := s.send("/uploads/"+id, newForm(t, "a", noise(10)))
	if first.location != "/uploads/"+id || first.code != http.StatusAccepted {
		t.Errorf("response is %+v", first)
	}
	if second := s.send("/uploads/"+id, newForm(t, "a", noise(10))); second.code != http.StatusConflict {
		t.Errorf("the second upload with this ID got %d", second.code)
	}
	for _, bad := range []string{"short", "0123456789abcde%20f", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"} {
		if got := s.send("/uploads/"+bad, newForm(t, "a", noise(10))); got.code != http.StatusBadRequest {
			t.Errorf("ID %s got %d", bad, got.code)
		}
	}
	if got := s.get("/uploads/0123456789abcdeX"); got.code != http.StatusNotFound {
		t.Errorf("status of an unknown upload is %+v", got)
	}
}

// streamed is a form whose file is written by the test while it is sent.
type streamed struct {
	io.Writer // the file
	pipe      *io.PipeWriter
	form      *multipart.Writer
	reply     chan reply
}

// stream starts to send a form.
func (s *site) stream(path string) *streamed {
	s.t.Helper()
	r, w := io.Pipe()
	f := &streamed{pipe: w, form: multipart.NewWriter(w), reply: make(chan reply, 1)}
	go func() {
		got, err := s.post(path, f.form.FormDataContentType(), r)
		if err != nil {
			got.status.Error = err.Error()
		}
		r.CloseWithError(io.ErrClosedPipe) // further writes fail
		f.reply <- got
	}()
	part, err := f.form.CreateFormFile("file", "stream.bin")
	check(s.t, err)
	f.Writer = part
	return f
}

// finish sends the end of the form and returns the response.
func (f *streamed) finish(t *testing.T) reply {
	t.Helper()
	check(t, f.form.Close())
	check(t, f.pipe.Close())
	return <-f.reply
}

// reached returns hooks that close a channel when n bytes are acknowledged.
func reached(n int64) (tus.Hooks, <-chan struct{}) {
	done := make(chan struct{})
	var once sync.Once
	return tus.Hooks{OnProgress: func(_ *tus.Uploader, p tus.Progress) {
		if p.Acknowledged >= n {
			once.Do(func() { close(done) })
		}
	}}, done
}

func TestStatus_HasProgressOfForm(t *testing.T) {
	hooks, acknowledged := reached(3000)
	s := newSite(t, setup{options: options{maxWait: time.Millisecond}, client: tus.Options{Hooks: hooks}})
	data := noise(10_000)
	f := s.stream("/uploads/" + id)
	_, err := f.Write(data[:6000])
	check(t, err)
	<-acknowledged
	for _, path := range []string{"/uploads/" + id, "/uploads/" + id + "?wait=true", "/uploads/" + id + "?wait=false"} {
		got := s.get(path)
		if st := got.status; got.code != http.StatusAccepted || st.State != receiving || st.Stored < 3000 || st.Received < st.Stored || st.Received > 6000 || st.URL != "" {
			t.Errorf("GET %s got %+v", path, got)
		}
	}
	if got := s.get("/uploads/" + id + "?wait=maybe"); got.code != http.StatusBadRequest {
		t.Errorf("wait=maybe got %d", got.code)
	}
	_, err = f.Write(data[6000:])
	check(t, err)
	if got := f.finish(t); got.code != http.StatusAccepted {
		t.Errorf("response is %+v", got)
	}
}

func TestWait_EndsWithUpload(t *testing.T) {
	hooks, acknowledged := reached(1000)
	s := newSite(t, setup{options: options{maxWait: time.Hour}, client: tus.Options{Hooks: hooks}})
	data := noise(5000)
	f := s.stream("/uploads/" + id)
	_, err := f.Write(data)
	check(t, err)
	<-acknowledged
	const waiters = 4
	replies := make(chan reply, waiters)
	for range waiters {
		go func() { replies <- s.get("/uploads/" + id + "?wait=true") }()
	}
	f.finish(t)
	for range waiters {
		if got := <-replies; got.code != http.StatusOK || got.status.State != complete || got.status.Stored != 5000 {
			t.Errorf("a waiting request got %+v", got)
		}
	}
}

// The gateway responds when the form has arrived, before the tus server acknowledges it.
func TestForm_LastChunksAreStoredAfterResponse(t *testing.T) {
	s := newSite(t, setup{options: options{maxWait: time.Millisecond}})
	s.tus.Inject(tustest.Fault{Method: "PATCH", From: 3000, Action: tustest.Stall()})
	data := noise(5000)
	got := s.send("/uploads", newForm(t, "a", data))
	if got.code != http.StatusAccepted {
		t.Fatalf("response is %+v", got)
	}
	if st := s.get(got.location + "?wait=true").status; st.State != storing || st.Received != 5000 || st.Stored > 3000 {
		t.Errorf("status is %+v", st)
	}
	s.tus.Release()
	s.gateway.shutdown(testContext(t))
	s.wantStored(s.get(got.location).status.URL, data)
}

// While the tus server is slow, the gateway reads at most two chunks from the browser.
func TestForm_SlowServerSlowsBrowserDown(t *testing.T) {
	const chunk, size = 10_000, 500_000
	var s *site
	var most atomic.Int64
	s = newSite(t, setup{
		options: options{chunkSize: chunk},
		client: tus.Options{Hooks: tus.Hooks{AfterResponse: func(r *http.Request, _ *tus.Response) {
			if r.Method == http.MethodPatch {
				st := s.get("/uploads/" + id).status
				most.Store(max(most.Load(), st.Received-st.Stored))
			}
		}}},
	})
	s.tus.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Delay(time.Millisecond)})
	data := noise(size)
	s.send("/uploads/"+id, newForm(t, "a", data))
	s.wantStored(s.get("/uploads/"+id+"?wait=true").status.URL, data)
	if most := most.Load(); most == 0 || most > 2*chunk {
		t.Errorf("up to %d bytes were in memory, want at most %d", most, 2*chunk)
	}
}

func TestForm_ConcurrentFormsDoNotMix(t *testing.T) {
	const forms = 8
	s := newSite(t, setup{options: options{maxActive: forms}})
	var wg sync.WaitGroup
	for i := range forms {
		wg.Go(func() {
			data := noise(20_000 + i)
			got := s.send("/uploads", newForm(t, fmt.Sprint(i), data))
			s.wantStored(s.get(got.location+"?wait=true").status.URL, data)
		})
	}
	wg.Wait()
}

func TestForm_SurvivesFailuresOfTusServer(t *testing.T) {
	s := newSite(t, setup{})
	s.tus.Inject(
		tustest.Fault{Method: "PATCH", From: 2000, Action: tustest.CutAfter(300)},
		tustest.Fault{Method: "HEAD", Action: tustest.Respond(503, "", "Retry-After", "0")},
		tustest.Fault{Method: "PATCH", From: 4000, Action: tustest.LoseResponse()},
	)
	data := noise(10_000)
	got := s.send("/uploads", newForm(t, "a", data))
	s.wantStored(s.get(got.location+"?wait=true").status.URL, data)
}

func TestStatus_HasReasonOfFailure(t *testing.T) {
	noRetries := tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}}
	for name, c := range map[string]struct {
		setup setup
		fault []tustest.Fault
		code  int
	}{
		"too large": {setup{server: &tustest.Options{MaxSize: 5000}}, nil, http.StatusRequestEntityTooLarge},
		"broken": {setup{client: noRetries}, []tustest.Fault{{Method: "PATCH", From: 2000, Times: -1,
			Action: tustest.Respond(500, "secret path /srv/tus")}}, http.StatusBadGateway},
		"no creation": {setup{client: noRetries}, []tustest.Fault{{Method: "POST", Action: tustest.Respond(403, "")}}, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.setup)
			s.tus.Inject(c.fault...)
			f := s.stream("/uploads/" + id)
			io.Copy(f, bytes.NewReader(noise(100_000))) // the form may be refused before all bytes are sent
			got := f.tryFinish()
			wantCodeOrLost(t, got, c.code)
			st := s.get("/uploads/" + id + "?wait=true").status
			if st.State != failed || st.URL != "" || st.Error == "" || bytes.Contains([]byte(st.Error), []byte("secret")) {
				t.Errorf("status is %+v", st)
			}
			s.wantNothing()
		})
	}
}

// tryFinish is finish for a form that may have been refused.
func (f *streamed) tryFinish() reply {
	f.form.Close()
	f.pipe.Close()
	return <-f.reply
}

// wantCodeOrLost fails unless the response has the code, or was lost: a response can be lost
// if it is sent before the form was read.
func wantCodeOrLost(t *testing.T, got reply, code int) {
	t.Helper()
	if got.code != code && got.code != 0 {
		t.Errorf("the browser got %+v, want %d", got, code)
	}
}

func TestShutdown_WaitsForArrivedForm(t *testing.T) {
	s := newSite(t, setup{})
	s.tus.Inject(tustest.Fault{Method: "PATCH", From: 3000, Action: tustest.LoseResponse()})
	data := noise(5000)
	got := s.send("/uploads", newForm(t, "a", data))
	s.gateway.shutdown(testContext(t))
	s.wantStored(s.get(got.location).status.URL, data)
	if late := s.send("/uploads", newForm(t, "a", data)); late.code != http.StatusServiceUnavailable {
		t.Errorf("a form after the shutdown got %d", late.code)
	}
}

func TestShutdown_CancelsUploadsAfterTimeout(t *testing.T) {
	for name, sent := range map[string]int{"before the file": 0, "in the file": 5000} {
		t.Run(name, func(t *testing.T) {
			hooks, acknowledged := reached(1000)
			s := newSite(t, setup{client: tus.Options{Hooks: hooks}})
			f := s.stream("/uploads/" + id)
			if sent > 0 {
				_, err := f.Write(noise(sent))
				check(t, err)
				<-acknowledged
			}
			s.until(id, http.StatusAccepted)
			ctx, cancel := context.WithCancel(testContext(t))
			cancel()
			s.gateway.shutdown(ctx)
			wantCodeOrLost(t, f.tryFinish(), http.StatusServiceUnavailable)
			if st := s.get("/uploads/" + id).status; st.State != failed || st.Error != errClosing.text {
				t.Errorf("status is %+v", st)
			}
			s.wantNothing()
		})
	}
}
