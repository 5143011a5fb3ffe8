package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/httpsource"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// planted is part of every secret in these tests. A text that contains it leaks one.
const planted = "PLANTED"

// signer signs URLs of a site, which refuses all but the last one.
type signer struct {
	*site
	base  string
	calls atomic.Int32
	valid atomic.Int32
}

// newSigner makes served refuse URLs that were not signed.
func newSigner(t *testing.T, served *site) *signer {
	s := &signer{site: served}
	served.respond = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Query().Get("signature") != s.signature(s.valid.Load()) {
			http.Error(w, "expired "+r.URL.RawQuery, http.StatusForbidden)
			return true
		}
		return false
	}
	s.base = served.start(t)
	return s
}

func (s *signer) signature(n int32) string { return fmt.Sprintf("%s-%d", planted, n) }

// sign is httpsource.Options.URL.
func (s *signer) sign(context.Context) (string, error) {
	n := s.calls.Add(1)
	s.valid.Store(n)
	return s.base + "?signature=" + s.signature(n), nil
}

// expire makes the server refuse the URL that it accepts.
func (s *signer) expire() { s.valid.Store(-1) }

func TestURL_IsRenewedWhenItExpires(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		for way, opts := range map[string]tus.UploadOptions{
			"single":   {CreationLimit: -1, Checksum: "off"},
			"chunked":  {ChunkSize: 300_000, Checksum: "off"},
			"parallel": {Parallel: 4, ParallelOptions: tus.ParallelOptions{MinPartSize: 300_000}, Checksum: "off"},
		} {
			t.Run(fmt.Sprintf("%s, %d", way, status), func(t *testing.T) {
				const uses = 6 // of each signature
				data := randomBytes(2_500_000)
				served := newSite(data)
				var used [100]atomic.Int32 // by signature
				served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
					var signature int
					if _, err := fmt.Sscanf(r.URL.Query().Get("signature"), planted+"-%d", &signature); err != nil || used[signature].Add(1) > uses {
						w.WriteHeader(status)
						return true
					}
					served.serve(cutAfter(w, 400_000), r)
					return true
				}
				s := &signer{site: served, base: served.start(t)}
				srv := tustest.NewServer(t, nil)
				client := newClient(t, srv, &tus.Options{Store: new(storage.Memory)})
				result, err := client.Upload(testContext(t), newSource(t, "", &httpsource.Options{URL: s.sign}), &opts)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv, result.URL, data)
				if n := s.calls.Load(); n < 2 {
					t.Errorf("%d calls", n)
				}
			})
		}
	}
}

// New sends nothing: the first call is made by the first request.
func TestURL_IsCalledOncePerFailure(t *testing.T) {
	served := newSite(randomBytes(1000))
	s := newSigner(t, served)
	source := newSource(t, "", &httpsource.Options{URL: s.sign})
	if n := s.calls.Load(); n != 0 {
		t.Fatalf("%d calls before the first request", n)
	}
	if info := stat(t, source); info.Name != "data.bin" || info.Identity != s.base {
		t.Errorf("Stat returns %+v", info)
	}
	wantRead(t, source, 0, randomBytes(1000))
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d calls without a failure", n)
	}
	s.expire()
	wantRead(t, source, 10, randomBytes(1000)[10:])
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls after one failure", n)
	}

	// A new URL that is refused as well is not replaced again.
	refusing := newSigner(t, newSite(nil))
	_, err := newSource(t, "", &httpsource.Options{URL: func(ctx context.Context) (string, error) {
		url, err := refusing.sign(ctx)
		refusing.expire()
		return url, err
	}}).Stat(testContext(t))
	var refused *tus.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusForbidden || refusing.calls.Load() != 2 {
		t.Errorf("%d calls, error %v", refusing.calls.Load(), err)
	}
	if strings.Contains(err.Error(), planted) {
		t.Errorf("error is %v", err)
	}
}

func TestURL_RefusedReadersShareCall(t *testing.T) {
	const readers = 8
	data := randomBytes(100_000)
	served := newSite(data)
	var together sync.WaitGroup
	together.Add(readers)
	s := newSigner(t, served)
	signed := served.respond
	served.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if 1 <= n && n <= readers { // all are refused before one renews
			together.Done()
			together.Wait()
		}
		return signed(w, r, n)
	}
	source := newSource(t, "", &httpsource.Options{URL: s.sign})
	stat(t, source)
	s.expire()
	var reading sync.WaitGroup
	for i := range readers {
		reading.Go(func() {
			if got, err := readFrom(t, source, int64(i)); err != nil || len(got) != len(data)-i {
				t.Errorf("read %d bytes: %v", len(got), err)
			}
		})
	}
	reading.Wait()
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls for %d refusals at the same time", n-1, readers)
	}
}

func TestURL_OtherDataIsSourceChanged(t *testing.T) {
	data := randomBytes(1_000_000)
	for name, change := range map[string]func(*site){
		"ETag":   func(s *site) { s.etag = `"v2"` },
		"length": func(s *site) { s.data = randomBytes(1_000_001) },
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(data)
			s := newSigner(t, served)
			renewed := func(ctx context.Context) (string, error) {
				if s.calls.Load() > 0 {
					served.mu.Lock()
					change(served)
					served.mu.Unlock()
				}
				return s.sign(ctx)
			}
			source := newSource(t, "", &httpsource.Options{URL: renewed})
			stat(t, source)
			s.expire()
			_, err := readFrom(t, source, 500_000)
			wantError(t, err, tus.ErrSourceChanged)
			if strings.Contains(err.Error(), planted) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// Another process has another signature, and resumes. The store has none.
func TestURL_ResumeKeyHasNoSignature(t *testing.T) {
	data := randomBytes(1_000_000)
	s := newSigner(t, newSite(data))
	srv, store := tustest.NewServer(t, nil), new(storage.Memory)
	opts := &tus.UploadOptions{ChunkSize: 500_000, StopAt: 500_000, Checksum: "off"}
	upload := func() (*tus.Result, error) {
		return newClient(t, srv, &tus.Options{Store: store}).Upload(testContext(t), newSource(t, "", &httpsource.Options{URL: s.sign}), opts)
	}
	_, err := upload()
	wantError(t, err, tus.ErrPaused)
	for rec, err := range store.All(testContext(t)) {
		encoded, _ := storage.Encode(rec)
		if err != nil || strings.Contains(string(encoded), planted) {
			t.Errorf("record is %s, %v", encoded, err)
		}
	}
	opts.StopAt = 0
	result, err := upload()
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv, result.URL, data)
	if result.Stats.ResumedFrom != 500_000 {
		t.Errorf("resumed from %d", result.Stats.ResumedFrom)
	}
}

func TestURL_FailureHasNoSecrets(t *testing.T) {
	_, err := httpsource.New("http://example.org/", &httpsource.Options{URL: func(context.Context) (string, error) { return "", nil }})
	wantError(t, err, tus.ErrInvalidInput)
	_, err = httpsource.New("", &httpsource.Options{})
	wantError(t, err, tus.ErrInvalidInput)

	down := errors.New("signer is down")
	for name, test := range map[string]struct {
		url  string
		err  error
		want error
	}{
		"error":         {err: down, want: down},
		"error of http": {err: &url.Error{Op: "Get", URL: "http://signer.test/?key=" + planted, Err: down}, want: down},
		"empty":         {want: tus.ErrInvalidInput},
		"scheme":        {url: "ftp://example.org/?signature=" + planted, want: tus.ErrInvalidInput},
		"no URL":        {url: "http://user:" + planted + "@%zz/", want: tus.ErrInvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			source := newSource(t, "", &httpsource.Options{URL: func(context.Context) (string, error) { calls++; return test.url, test.err }})
			srv := tustest.NewServer(t, nil)
			_, err := newClient(t, srv, nil).Upload(testContext(t), source, nil)
			wantError(t, err, test.want)
			if strings.Contains(err.Error(), planted) || !strings.Contains(err.Error(), "Options.URL") {
				t.Errorf("error is %v", err)
			}
			if calls != 1 || len(srv.Requests()) != 0 {
				t.Errorf("%d calls, %d requests", calls, len(srv.Requests()))
			}
			if _, err := source.Open(testContext(t), 0); err == nil {
				t.Error("Open without a URL succeeds")
			}
		})
	}
}

// Options.Header goes to the origin of each URL, and the user of a URL only there.
func TestURL_CredentialsFollowURL(t *testing.T) {
	one, two := newSite(randomBytes(1000)), newSite(randomBytes(1000))
	one.respond = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return n > 0
	}
	urls := []string{
		strings.Replace(one.start(t), "http://", "http://alice:"+planted+"-1@", 1),
		strings.Replace(two.start(t), "http://", "http://bob:"+planted+"-2@", 1),
	}
	calls := 0
	source := newSource(t, "", &httpsource.Options{
		Header: http.Header{"X-Key": {"key"}},
		URL:    func(context.Context) (string, error) { calls++; return urls[calls-1], nil },
	})
	stat(t, source)
	wantRead(t, source, 0, randomBytes(1000))
	for i, s := range []*site{one, two} {
		for _, r := range s.requests() {
			user, password, _ := r.BasicAuth()
			want := []string{"alice", "bob"}[i]
			if user != want || password != fmt.Sprintf("%s-%d", planted, i+1) || r.Header.Get("X-Key") != "key" {
				t.Errorf("site %d received %v", i+1, r.Header)
			}
		}
	}
}

func TestURL_HangingCallEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	source := newSource(t, "", &httpsource.Options{URL: func(ctx context.Context) (string, error) {
		cancel()
		<-ctx.Done()
		return "", fmt.Errorf("signing: %w", ctx.Err())
	}})
	_, err := source.Stat(ctx)
	wantError(t, err, context.Canceled)
}
