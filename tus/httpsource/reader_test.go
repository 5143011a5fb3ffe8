package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
)

func TestOpen_AnyOffset(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	source := newSource(t, served.start(t), nil)
	for _, offset := range []int64{0, 1, 5000, 9999, 10_000} {
		wantRead(t, source, offset, data[offset:])
	}
	served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=1-", "bytes=5000-", "bytes=9999-") // the end needs no request
	for _, offset := range []int64{-1, 10_001, 1 << 62} {
		_, err := source.Open(testContext(t), offset)
		wantError(t, err, tus.ErrInvalidInput)
	}
}

func TestReaders_AreIndependent(t *testing.T) {
	data := randomBytes(1 << 20)
	source := newSource(t, newSite(data).start(t), nil)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			offset := int64(i) * 100_000
			r, err := source.Open(testContext(t), offset)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if err != nil || string(got) != string(data[offset:]) {
				t.Errorf("reader %d got %d bytes, %v", i, len(got), err)
			}
		})
	}
	group.Wait()
}

func TestReader_BrokenConnectionIsResumed(t *testing.T) {
	data := randomBytes(100_000)
	for _, at := range []int{0, 1, 2, 4095, 4096, 4097, 32_768, 65_536, 99_998, 99_999} {
		for _, times := range []int{1, 5} {
			t.Run(fmt.Sprintf("%d times after %d", times, at), func(t *testing.T) {
				served := newSite(data)
				cuts := 0
				served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
					if n == 0 || cuts == times {
						return false
					}
					cuts++
					served.serve(cutAfter(w, at), r)
					return true
				}
				source := newSource(t, served.start(t), nil)
				wantRead(t, source, 0, data)
				var want []string
				for i := range times + 1 {
					if offset := i * at; offset < len(data) {
						want = append(want, fmt.Sprintf("bytes=%d-", offset))
					}
				}
				served.wantRanges(t, append([]string{"bytes=0-0"}, want...)...)
				for _, r := range served.requests()[1:] {
					if got := r.Header.Get("If-Range"); got != `"v1"` {
						t.Errorf("If-Range is %q", got)
					}
				}
			})
		}
	}
}

// A change between two requests of a reader is detected by each validator.
func TestReader_ChangeBetweenRequestsFails(t *testing.T) {
	data, other := randomBytes(50_000), randomBytes(60_000)[10_000:]
	for name, test := range map[string]struct {
		dated  bool // the validator is Last-Modified
		change func(s *site)
		raw    string // Content-Range of a server that ignores If-Range; empty for one that supports it
	}{
		"If-Range fails":                   {change: func(s *site) { s.change(other, `"v2"`) }},
		"If-Range is ignored":              {change: func(s *site) { s.change(other, `"v2"`) }, raw: "bytes 20000-49999/50000"},
		"ETag is gone":                     {change: func(s *site) { s.change(other, "") }, raw: "bytes 20000-49999/50000"},
		"ETag became weak":                 {change: func(s *site) { s.change(other, `W/"v1"`) }, raw: "bytes 20000-49999/50000"},
		"longer":                           {change: func(s *site) { s.change(append(data, 1), `"v1"`) }},
		"shorter":                          {change: func(s *site) { s.change(data[:30_000], `"v1"`) }},
		"shorter than the offset":          {change: func(s *site) { s.change(data[:10_000], `"v1"`) }},
		"empty":                            {change: func(s *site) { s.change(nil, `"v1"`) }},
		"length is unknown":                {change: func(s *site) {}, raw: "bytes 20000-49999/*"},
		"Last-Modified":                    {dated: true, change: func(s *site) { s.modified = longAgo.Add(time.Second) }},
		"Last-Modified back":               {dated: true, change: func(s *site) { s.modified = longAgo.Add(-time.Hour) }},
		"Last-Modified, If-Range ignored":  {dated: true, change: func(s *site) { s.modified = longAgo.Add(time.Second) }, raw: "bytes 20000-49999/50000"},
		"Last-Modified gone, an ETag came": {dated: true, change: func(s *site) { s.modified = time.Time{}; s.etag = `"new"` }},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			if test.dated {
				served.etag, served.modified = "", longAgo
			}
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				switch n {
				case 0:
					return false
				case 1:
					served.serve(cutAfter(w, 20_000), r)
					return true
				case 2:
					test.change(served)
				}
				if test.raw == "" {
					return false
				}
				if served.etag != "" {
					w.Header().Set("Etag", served.etag)
				}
				if !served.modified.IsZero() {
					w.Header().Set("Last-Modified", served.modified.Format(http.TimeFormat))
				}
				w.Header().Set("Content-Range", test.raw)
				w.WriteHeader(206)
				w.Write(other[20_000:])
				return true
			}
			source := newSource(t, served.start(t), nil)
			got, err := readFrom(t, source, 0)
			wantError(t, err, tus.ErrSourceChanged)
			if string(got) != string(data[:20_000]) {
				t.Errorf("read %d bytes, not the 20000 from before the change", len(got))
			}
			if n := len(served.requests()); n != 3 {
				t.Errorf("%d requests: a change is not worth a retry", n)
			}
			_, err = source.Open(testContext(t), 30_000)
			wantError(t, err, tus.ErrSourceChanged)
		})
	}
}

// RFC 9110, 15.3.7.1: a response to If-Range need not repeat the date.
func TestReader_RangeWithoutLastModifiedIsAccepted(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	served.etag, served.modified = "", longAgo
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			return false
		}
		w.Header().Set("Content-Range", "bytes 0-9999/10000")
		w.WriteHeader(206)
		w.Write(data)
		return true
	}
	wantRead(t, newSource(t, served.start(t), nil), 0, data)
}

func TestReader_OtherRangeFails(t *testing.T) {
	data := randomBytes(10_000)
	for _, contentRange := range []string{
		"bytes 0-4999/10000", "bytes 5001-9999/10000", "bytes 4999-9999/10000", "", "bytes 5000-9999", "bytes 5000-10000/10000",
		"bytes 5000-9223372036854775807/10000",
	} {
		served := newSite(data)
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 0 {
				return false
			}
			w.Header().Set("Etag", `"v1"`)
			w.Header()["Content-Range"] = []string{contentRange}
			w.WriteHeader(206)
			http.NewResponseController(w).Flush() // so that there is no length
			w.Write(data[:5000])
			return true
		}
		source := newSource(t, served.start(t), nil)
		got, err := readFrom(t, source, 5000)
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 206 || errors.Is(err, tus.ErrSourceChanged) || len(got) > 0 {
			t.Errorf("%q: read %d bytes, error %v", contentRange, len(got), err)
		}
		if n := len(served.requests()); n != 2 {
			t.Errorf("%q: %d requests", contentRange, n)
		}
	}
}

func TestReader_EncodedRangeFails(t *testing.T) {
	served := newSite(randomBytes(10_000))
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 {
			w.Header().Set("Content-Encoding", "br")
		}
		return false
	}
	_, err := readFrom(t, newSource(t, served.start(t), nil), 5000)
	if err == nil || !strings.Contains(err.Error(), "Content-Encoding") {
		t.Fatalf("error is %v", err)
	}
}

// A server may send less than was requested.
func TestReader_ShorterRangesAreContinued(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 {
			var offset int
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &offset)
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+2999))
		}
		return false
	}
	wantRead(t, newSource(t, served.start(t), nil), 0, data)
	served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=3000-", "bytes=6000-", "bytes=9000-")
}

// Bytes of the body after the range are not part of the data.
func TestReader_BytesBeyondRangeAreIgnored(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != 1 {
			return false
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Range", "bytes 0-3999/10000")
		w.WriteHeader(206)
		http.NewResponseController(w).Flush() // chunks, so without a length
		w.Write(make([]byte, 9000))
		return true
	}
	got, err := readFrom(t, newSource(t, served.start(t), nil), 0)
	if err != nil || len(got) != 10_000 || string(got[4000:]) != string(data[4000:]) {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
	served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=4000-")
}

// A body that ends early without an error is short, like one whose connection breaks.
func TestReader_ShortBodyIsContinued(t *testing.T) {
	data := randomBytes(10_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != 1 {
			return false
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Range", "bytes 0-9999/10000")
		w.WriteHeader(206)
		http.NewResponseController(w).Flush() // chunks, so without a length
		w.Write(data[:4000])
		return true
	}
	wantRead(t, newSource(t, served.start(t), nil), 0, data)
	served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=4000-")
}

func TestReader_SkipsToOffsetIfRangeIsIgnored(t *testing.T) {
	data := randomBytes(100_000)
	for name, serve := range map[string]func(*site, http.ResponseWriter, *http.Request){
		"with a length": (*site).serveWhole, "in chunks": (*site).serveChunked,
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n > 0 {
					serve(served, w, r)
				}
				return n > 0
			}
			source := newSource(t, served.start(t), nil)
			wantRead(t, source, 60_000, data[60_000:])
			wantRead(t, source, 0, data)
		})
	}
}

func TestReader_ResponseOfOtherLengthFails(t *testing.T) {
	data := randomBytes(10_000)
	for name, now := range map[string][]byte{"longer": randomBytes(10_001), "shorter": data[:6000]} {
		served := newSite(data)
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 0 {
				served.change(now, `"v1"`)
				served.serveChunked(w, r)
			}
			return n > 0
		}
		source := newSource(t, served.start(t), nil)
		got, err := readFrom(t, source, 0)
		if name == "longer" {
			wantError(t, err, tus.ErrSourceChanged)
		}
		if err == nil || len(got) > 10_000 {
			t.Errorf("%s: read %d bytes, error %v", name, len(got), err)
		}
	}
}

func TestReader_FailsAfterMaxRetries(t *testing.T) {
	served := newSite(randomBytes(10_000))
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			served.serve(cutAfter(w, 5000), r)
			return true
		}
		if n > 1 {
			w.WriteHeader(503)
		}
		return n > 1
	}
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		var events []tus.Retry
		source := newSource(&httpsource.Options{OnRetry: func(e tus.Retry) { events = append(events, e) }})
		r, err := source.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		begin := time.Now()
		got, err := io.ReadAll(r)
		elapsed := time.Since(begin)
		var e *tus.Error
		if !errors.As(err, &e) || e.StatusCode != 503 || len(got) != 5000 {
			t.Fatalf("read %d bytes, error %v", len(got), err)
		}
		if _, again := r.Read(make([]byte, 1)); again != err {
			t.Errorf("the next read says %v", again)
		}
		if n := len(served.requests()); n != 10 || len(events) != 8 { // a probe, a body, 8 retries
			t.Errorf("%d requests, %d retries", n, len(events))
		}
		var sum time.Duration
		for i, e := range events {
			sum += e.Delay
			nominal := time.Duration(0)
			if i > 0 {
				nominal = 500 * time.Millisecond << (i - 1)
			}
			if e.Attempt != i+1 || !strings.Contains(e.Err.Error(), "/data.bin") || e.Delay < nominal/2 || e.Delay > nominal*3/2 {
				t.Errorf("retry %d is %+v, want a wait of about %v", i+1, e, nominal)
			}
		}
		if elapsed != sum {
			t.Errorf("took %v, announced were %v", elapsed, sum)
		}
	})
}

func TestReader_EveryByteResetsRetries(t *testing.T) {
	data := randomBytes(50)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			return false
		}
		served.serve(cutAfter(w, 1), r)
		return true
	}
	wantRead(t, newSource(t, served.start(t), &httpsource.Options{Retry: tus.RetryPolicy{MaxRetries: 1}}), 0, data)
}

func TestReader_FollowsRetryPolicy(t *testing.T) {
	fail := func(status int) (*site, func() int) {
		served := newSite(randomBytes(100))
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 0 {
				w.WriteHeader(status)
			}
			return n > 0
		}
		return served, func() int { return len(served.requests()) - 1 }
	}
	t.Run("no retries", func(t *testing.T) {
		served, tries := fail(503)
		_, err := newSource(t, served.start(t), &httpsource.Options{Retry: tus.RetryPolicy{MaxRetries: -1}}).Open(testContext(t), 0)
		if err == nil || tries() != 1 {
			t.Errorf("%d tries, error %v", tries(), err)
		}
	})
	t.Run("what is permanent by default", func(t *testing.T) {
		served, tries := fail(404)
		source := newSource(t, served.start(t), nil)
		if _, err := source.Open(testContext(t), 0); err == nil || tries() != 1 {
			t.Errorf("%d tries, error %v", tries(), err)
		}
	})
	t.Run("ShouldRetry", func(t *testing.T) {
		served, tries := fail(404)
		policy := tus.RetryPolicy{ShouldRetry: func(err error, attempt int) bool { return attempt < 4 }}
		_, err := newSource(t, served.start(t), &httpsource.Options{Retry: policy}).Open(testContext(t), 0)
		if err == nil || tries() != 4 {
			t.Errorf("%d tries, error %v", tries(), err)
		}
	})
}

func TestReader_RetryAfterIsCapped(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		want  time.Duration
	}{
		"seconds": {"90", 90 * time.Second},
		"date":    {"Sat, 01 Jan 2000 00:02:00 GMT", 2 * time.Minute}, // bubbles begin in 2000
		"past":    {"Fri, 31 Dec 1999 00:00:00 GMT", 0},
		"capped":  {"86400", 5 * time.Minute},
		"endless": {"9223372036854775807", 5 * time.Minute},
		"garbage": {"soon", 0},
		"minus":   {"-5", 0},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(randomBytes(100))
			served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n == 1 {
					w.Header().Set("Retry-After", test.value)
					w.WriteHeader(429)
				}
				return n == 1
			}
			bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
				begin := time.Now()
				wantRead(t, newSource(nil), 0, served.data)
				if waited := time.Since(begin); waited != test.want {
					t.Errorf("waited %v, want %v", waited, test.want)
				}
			})
		})
	}
}

func TestReader_StalledBodyIsResumed(t *testing.T) {
	data := randomBytes(100_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != 1 {
			return false
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Range", "bytes 0-99999/100000")
		w.Header().Set("Content-Length", "100000")
		w.WriteHeader(206)
		w.Write(data[:50_000])
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	for _, limit := range []time.Duration{0, 3 * time.Second} {
		served.log = nil
		bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
			begin := time.Now()
			wantRead(t, newSource(&httpsource.Options{StallTimeout: limit}), 0, data)
			want := limit
			if limit == 0 {
				want = 15 * time.Second
			}
			if waited := time.Since(begin); waited != want {
				t.Errorf("waited %v, want %v", waited, want)
			}
			served.wantRanges(t, "bytes=0-0", "bytes=0-", "bytes=50000-")
		})
	}
}

func TestReader_HTTP2StallIsErrStalled(t *testing.T) {
	served := newSite(randomBytes(100))
	hanging(served, 1)
	server := httptest.NewUnstartedServer(served)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	var failures []error
	source := newSource(t, server.URL, &httpsource.Options{
		HTTPClient: server.Client(), StallTimeout: 50 * time.Millisecond,
		OnRetry: func(e tus.Retry) { failures = append(failures, e.Err) },
	})
	wantRead(t, source, 0, served.data)
	if len(failures) == 0 {
		t.Fatal("no retry")
	}
	for _, err := range failures {
		wantError(t, err, tus.ErrStalled)
	}
}

// A slow server or a slow reader does not stall.
func TestReader_SlowBodyDoesNotStall(t *testing.T) {
	data := randomBytes(100)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != 1 {
			return false
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Range", "bytes 0-99/100")
		w.WriteHeader(206)
		for i := range data {
			time.Sleep(10 * time.Second) // of the bubble
			w.Write(data[i : i+1])
			http.NewResponseController(w).Flush()
		}
		return true
	}
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		source := newSource(nil)
		r, err := source.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var got []byte
		for buf := make([]byte, 10); ; {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 50 {
				time.Sleep(time.Hour)
			}
		}
		if string(got) != string(data) {
			t.Error("read other bytes")
		}
		served.wantRanges(t, "bytes=0-0", "bytes=0-")
	})
}

func TestReader_NegativeStallTimeoutDisablesIt(t *testing.T) {
	served := newSite(randomBytes(100))
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		time.Sleep(24 * time.Hour) // of the bubble
		return false
	}
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		source := newSource(&httpsource.Options{StallTimeout: -1})
		if _, err := source.Stat(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// hanging starts to respond to the n-th request, and then waits until the client
// disconnects.
func hanging(s *site, hang int) {
	s.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != hang {
			return false
		}
		if hang > 0 {
			w.Header().Set("Etag", s.etag)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(s.data)-1, len(s.data)))
			w.WriteHeader(206)
			w.Write(s.data[:10])
			http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		return true
	}
}

func TestContext_EndsEveryWaitWithCause(t *testing.T) {
	cause := errors.New("had enough")
	for name, test := range map[string]struct {
		prepare func(*site)
		call    func(context.Context, *httpsource.Source) error
	}{
		"Stat": {func(s *site) { hanging(s, 0) }, func(ctx context.Context, s *httpsource.Source) error {
			_, err := s.Stat(ctx)
			return err
		}},
		"Open": {func(s *site) { hanging(s, 0) }, func(ctx context.Context, s *httpsource.Source) error {
			_, err := s.Open(ctx, 0)
			return err
		}},
		"Read": {func(s *site) { hanging(s, 1) }, readAll},
		"wait before a retry": {func(s *site) {
			s.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				w.Header().Set("Retry-After", "100")
				w.WriteHeader(503)
				return true
			}
		}, readAll},
		"recent Last-Modified": {func(s *site) {
			s.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
				s.modified, s.etag = time.Now(), ""
				return false
			}
		}, readAll},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(randomBytes(100))
			test.prepare(served)
			bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
				ctx, cancel := context.WithCancelCause(t.Context())
				result := make(chan error)
				source := newSource(&httpsource.Options{StallTimeout: -1})
				go func() { result <- test.call(ctx, source) }()
				synctest.Wait()
				begin := time.Now()
				cancel(cause)
				err := <-result
				if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
					t.Errorf("error is %v", err)
				}
				if time.Since(begin) != 0 {
					t.Errorf("took %v", time.Since(begin))
				}
				before := len(served.requests())
				if err := test.call(ctx, source); !errors.Is(err, cause) {
					t.Errorf("with the context at its end, the error is %v", err)
				}
				if len(served.requests()) != before {
					t.Error("a request was sent with the context at its end")
				}
			})
		})
	}
}

func readAll(ctx context.Context, s *httpsource.Source) error {
	r, err := s.Open(ctx, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.ReadAll(r)
	return err
}

func TestReader_CloseEndsRead(t *testing.T) {
	served := newSite(randomBytes(100))
	hanging(served, 1)
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		r, err := newSource(&httpsource.Options{StallTimeout: -1}).Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		result := make(chan error)
		go func() { _, err := io.ReadAll(r); result <- err }()
		synctest.Wait()
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-result; err == nil {
			t.Error("the read that was ended has no error")
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("a read after Close brings %d bytes, %v", n, err)
		}
	})
}

// Readers that each read one chunk request only that after the first one, and so share a
// connection.
func TestReaders_OfChunksShareConnection(t *testing.T) {
	const chunk = 1 << 20
	data := randomBytes(8 * chunk)
	served := newSite(data)
	source := newSource(t, served.start(t), nil)
	want := []string{"bytes=0-0", "bytes=0-"}
	for i := range 8 {
		r, err := source.Open(testContext(t), int64(i)*chunk)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, chunk)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != string(data[i*chunk:][:chunk]) {
			t.Fatalf("chunk %d: %v", i, err)
		}
		r.Close()
		if i > 0 && i < 7 {
			want = append(want, fmt.Sprintf("bytes=%d-%d", i*chunk, (i+1)*chunk-1))
		}
	}
	served.wantRanges(t, append(want, fmt.Sprintf("bytes=%d-", 7*chunk))...)
	if n := served.connections(); n > 2 { // the first reader requests all data
		t.Errorf("%d connections", n)
	}
	wantRead(t, source, 0, data) // a reader that reads more requests the rest
	requests := served.requests()
	if got := requests[len(requests)-1].Header.Get("Range"); got != fmt.Sprintf("bytes=%d-", chunk) {
		t.Errorf("last request is for %q", got)
	}
}

// chunkSizes are those of a source without ranges whose readers each read one chunk.
func readInChunks(t *testing.T, source *httpsource.Source, size, chunk int) ([]byte, error) {
	t.Helper()
	var got []byte
	for len(got) < size {
		r, err := source.Open(testContext(t), int64(len(got)))
		if err != nil {
			return got, err
		}
		part := make([]byte, min(chunk, size-len(got)))
		n, err := io.ReadFull(r, part)
		r.Close()
		got = append(got, part[:n]...)
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

func TestKeptResponse_ChunksAreOneRequest(t *testing.T) {
	for _, etag := range []string{`"v1"`, `W/"v1"`, ""} {
		data := randomBytes(1 << 20)
		served := newSite(data)
		served.etag = etag
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			served.serveWhole(w, r)
			return true
		}
		source := newSource(t, served.start(t), nil)
		if info := stat(t, source); !info.Sequential {
			t.Fatalf("Stat returns %+v", info)
		}
		got, err := readInChunks(t, source, len(data), 100_000)
		if err != nil || string(got) != string(data) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		served.wantRanges(t, "bytes=0-0")
	}
}

func TestKeptResponse_OneAtATime(t *testing.T) {
	served := newSite(randomBytes(1 << 20))
	ended := make(chan int, 3)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		served.serveWhole(w, r)
		ended <- n
		return true
	}
	bubble(t, served, func(t *testing.T, newSource func(*httpsource.Options) *httpsource.Source) {
		source := newSource(nil)
		defer source.CloseIdleConnections()
		for range 2 {
			if _, err := readInChunks(t, source, 20_000, 10_000); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(ended) != 1 || <-ended != 0 {
			t.Errorf("the first response has not ended, or both have")
		}
		source.CloseIdleConnections()
		synctest.Wait()
		if len(ended) != 1 {
			t.Errorf("the second response has not ended")
		}
	})
}

// A reader at a later offset skips the bytes before it, as for a sampled fingerprint.
func TestKeptResponse_SkipsForward(t *testing.T) {
	data := randomBytes(1 << 20)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		served.serveWhole(w, r)
		return true
	}
	source := newSource(t, served.start(t), nil)
	for _, offset := range []int64{0, 100, 5000, 1_000_000} {
		r, err := source.Open(testContext(t), offset)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 50)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != string(data[offset:][:50]) {
			t.Fatalf("at %d: %v", offset, err)
		}
		r.Close()
	}
	served.wantRanges(t, "bytes=0-0")
}

// The tus server may have the skipped bytes from an earlier session.
func TestKeptResponse_SkipNeedsStrongValidator(t *testing.T) {
	served := newSite(randomBytes(100_000))
	served.etag = ""
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool { served.serveWhole(w, r); return true }
	source := newSource(t, served.start(t), nil)
	stat(t, source)
	_, err := source.Open(testContext(t), 5000)
	wantError(t, err, tus.ErrNotRecoverable)
	if !strings.Contains(err.Error(), "byte 5000") {
		t.Errorf("error is %v", err)
	}
	if _, err := readInChunks(t, source, 4000, 4000); err != nil {
		t.Fatal(err)
	}
	_, err = source.Open(testContext(t), 4001)
	wantError(t, err, tus.ErrNotRecoverable)
	served.wantRanges(t, "bytes=0-0", "")
}

// The response of a reader that is closed after a newer one was opened is not kept: they
// may have read different data.
func TestKeptResponse_IsOfNewestReader(t *testing.T) {
	data, other := randomBytes(100_000), randomBytes(200_000)[100_000:]
	served := newSite(data)
	served.etag = ""
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			served.change(other, "")
		}
		served.serveWhole(w, r)
		return true
	}
	source := newSource(t, served.start(t), nil)
	var readers []io.ReadCloser
	for range 2 {
		r, err := source.Open(testContext(t), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	readers[1].Close()
	readers[0].Close()
	wantRead(t, source, 10_000, other[10_000:])
}

func TestStream_GoesBackWithStrongValidatorOnly(t *testing.T) {
	data := randomBytes(100_000)
	open := func(t *testing.T, etag string, change func(*site)) (*site, []byte, error) {
		served := newSite(data)
		served.etag = etag
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 && change != nil {
				change(served)
			}
			served.serveWhole(w, r)
			return true
		}
		source := newSource(t, served.start(t), nil)
		if _, err := readInChunks(t, source, 80_000, 80_000); err != nil {
			t.Fatal(err)
		}
		got, err := readFrom(t, source, 50_000)
		return served, got, err
	}
	t.Run("reads again what is proved unchanged", func(t *testing.T) {
		served, got, err := open(t, `"v1"`, nil)
		if err != nil || string(got) != string(data[50_000:]) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		served.wantRanges(t, "bytes=0-0", "")
	})
	t.Run("notices a change", func(t *testing.T) {
		_, _, err := open(t, `"v1"`, func(s *site) { s.change(data, `"v2"`) })
		wantError(t, err, tus.ErrSourceChanged)
	})
	t.Run("refuses without a strong validator", func(t *testing.T) {
		for _, etag := range []string{"", `W/"v1"`} {
			served, _, err := open(t, etag, nil)
			wantError(t, err, tus.ErrNotRecoverable)
			if !strings.Contains(err.Error(), "byte 50000") {
				t.Errorf("error is %v", err)
			}
			served.wantRanges(t, "bytes=0-0")
		}
	})
	t.Run("starts over in any case", func(t *testing.T) {
		served := newSite(data)
		served.etag = ""
		served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool { served.serveWhole(w, r); return true }
		source := newSource(t, served.start(t), nil)
		for range 2 {
			wantRead(t, source, 0, data)
		}
	})
}

// A stream ends where the server ends it, not where the connection breaks.
func TestStream_BrokenConnection(t *testing.T) {
	data := randomBytes(200_000)
	for name, serve := range map[string]func(*site, http.ResponseWriter, *http.Request){
		"with a length": (*site).serveWhole, "in chunks": (*site).serveChunked,
	} {
		for _, etag := range []string{`"v1"`, ""} {
			for _, at := range []int{0, 1, 100_000, 199_999} {
				t.Run(fmt.Sprintf("%s, ETag %s, cut at %d", name, etag, at), func(t *testing.T) {
					served := newSite(data)
					served.etag = etag
					served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
						if n == 0 {
							w = cutAfter(w, at)
						}
						serve(served, w, r)
						return true
					}
					source := newSource(t, served.start(t), nil)
					got, err := readFrom(t, source, 0)
					if etag != "" || at == 0 { // it can be read again from the start
						if err != nil || string(got) != string(data) {
							t.Fatalf("read %d bytes, %v", len(got), err)
						}
						return
					}
					wantError(t, err, tus.ErrNotRecoverable)
					wantError(t, err, io.ErrUnexpectedEOF)
					if tus.IsRetryable(err) || string(got) != string(data[:at]) {
						t.Errorf("read %d bytes, error %v", len(got), err)
					}
				})
			}
		}
	}
}

func TestStream_ChangeAfterBreakFails(t *testing.T) {
	data := randomBytes(100_000)
	served := newSite(data)
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 0 {
			w = cutAfter(w, 50_000)
		} else {
			served.change(slices.Clone(data), `"v2"`)
		}
		served.serveChunked(w, r)
		return true
	}
	_, err := readFrom(t, newSource(t, served.start(t), nil), 0)
	wantError(t, err, tus.ErrSourceChanged)
}
