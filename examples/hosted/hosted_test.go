package hosted_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/examples/hosted"
	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// newFile writes a file of noise.
func newFile(t testing.TB, size int64) (path string, data []byte) {
	t.Helper()
	data = make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(data)
	path = filepath.Join(t.TempDir(), "movie.mp4")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// wantUploaded uploads a file, and fails unless the server stored it and no rule was
// broken.
func wantUploaded(t *testing.T, srv *strict.Server, s hosted.Service, size int64) *tus.Result {
	t.Helper()
	path, data := newFile(t, size)
	result, err := s.UploadFile(testContext(t), path)
	if err != nil {
		t.Fatal(err)
	}
	if stored, _ := srv.Upload(result.URL); !bytes.Equal(stored.Data, data) {
		t.Errorf("the server has %d other bytes", len(stored.Data))
	}
	for _, err := range srv.Broken() {
		t.Error(err)
	}
	return result
}

// wantBroken fails unless the server refuses a file. It tests that the rules are
// enforced.
func wantBroken(t *testing.T, srv *strict.Server, s hosted.Service, size int64) {
	t.Helper()
	path, _ := newFile(t, size)
	s.Client.Retry.MaxRetries = -1
	if _, err := s.UploadFile(testContext(t), path); err == nil || len(srv.Broken()) == 0 {
		t.Errorf("the server accepted the file (%v)", err)
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func supabase(srv *strict.Server) hosted.Service {
	s := hosted.Supabase("project", "token", "films", "2026/movie.mp4")
	s.Endpoint = srv.Endpoint()
	return s
}

func supabaseRules() strict.Rules {
	return strict.Rules{
		Chunk:     strict.Exactly(6 * mib),
		Metadata:  []string{"bucketName", "objectName", "contentType"},
		Authorize: bearer("token"),
	}
}

// bearer requires a token.
func bearer(token string) func(*http.Request) error {
	return func(r *http.Request) error {
		if r.Header.Get("Authorization") != "Bearer "+token {
			return errors.New("no token")
		}
		return nil
	}
}

func TestSupabase_ChunksHaveOneSize(t *testing.T) {
	for _, size := range []int64{0, 1, 6*mib - 1, 6 * mib, 6*mib + 1, 12 * mib, 13 * mib} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			srv := strict.NewServer(t, supabaseRules())
			wantUploaded(t, srv, supabase(srv), size)
		})
	}
}

// storeOnly stores the first n bytes of a body, and discards the rest.
func storeOnly(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		body := r.Body
		r.Body = io.NopCloser(io.LimitReader(body, n))
		h.Serve(w, r)
		io.Copy(io.Discard, body)
	}
}

func TestSupabase_InterruptionKeepsChunkSize(t *testing.T) {
	for name, fault := range map[string]tustest.Fault{
		"cut in a chunk":  {Method: "PATCH", From: 6 * mib, Action: tustest.CutAfter(2*mib + 1)},
		"lost response":   {Method: "PATCH", From: 6 * mib, Action: tustest.LoseResponse()},
		"nothing stored":  {Method: "PATCH", From: 6 * mib, Action: tustest.CutBefore()},
		"stored in part":  {Method: "PATCH", From: 6 * mib, Action: storeOnly(mib)},
		"lock held (409)": {Method: "PATCH", From: 6 * mib, Action: tustest.Respond(409, "locked")},
	} {
		t.Run(name, func(t *testing.T) {
			srv := strict.NewServer(t, supabaseRules())
			srv.Inject(fault)
			wantUploaded(t, srv, supabase(srv), 20*mib)
		})
	}
}

func TestSupabase_OtherSettingsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*hosted.Service){
		"other size":  func(s *hosted.Service) { s.Upload.ChunkSize = 5 * mib },
		"one request": func(s *hosted.Service) { s.Upload.ChunkSize = 0 },
		"no metadata": func(s *hosted.Service) { s.Upload.Metadata = nil },
		"no token":    func(s *hosted.Service) { s.Client.Header = nil },
	} {
		t.Run(name, func(t *testing.T) {
			srv := strict.NewServer(t, supabaseRules())
			s := supabase(srv)
			change(&s)
			wantBroken(t, srv, s, 13*mib)
		})
	}
}

func cloudflare(srv *strict.Server) hosted.Service {
	s := hosted.CloudflareStream("account", "token", "movie.mp4")
	s.Endpoint = srv.Endpoint()
	return s
}

func cloudflareRules() strict.Rules {
	return strict.Rules{
		Chunk:     strict.Multiple(hosted.CloudflareMultiple, hosted.CloudflareLeast, hosted.CloudflareMost),
		Authorize: bearer("token"),
		Creation:  http.Header{"Stream-Media-Id": {"the-id"}},
	}
}

func TestCloudflare_ChunksAreMultiples(t *testing.T) {
	const least = hosted.CloudflareLeast
	for _, c := range []struct{ chunk, size int64 }{
		{0, 50*mib + 1}, {0, 1000}, {least, least}, {least, least + 1}, {least, 3*least - 1},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			srv := strict.NewServer(t, cloudflareRules())
			srv.Inject(tustest.Fault{Method: "PATCH", From: 1, Action: tustest.CutAfter(100_001)})
			s := cloudflare(srv)
			if c.chunk > 0 { // else the default of the service
				s.Upload.ChunkSize = c.chunk
			}
			result := wantUploaded(t, srv, s, c.size)
			if id := result.Creation.Header.Get("Stream-Media-Id"); id != "the-id" {
				t.Errorf("the ID is %q", id)
			}
		})
	}
}

func TestCloudflare_OtherSettingsAreRefused(t *testing.T) {
	for _, chunk := range []int64{
		hosted.CloudflareLeast - hosted.CloudflareMultiple, hosted.CloudflareLeast + 1, 6_000_000,
	} {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			srv := strict.NewServer(t, cloudflareRules())
			s := cloudflare(srv)
			s.Upload.ChunkSize = chunk
			wantBroken(t, srv, s, 13*mib)
		})
	}
	rule := cloudflareRules().Chunk
	if rule(hosted.CloudflareMost, false) != nil || rule(hosted.CloudflareMost+hosted.CloudflareMultiple, false) == nil {
		t.Error("the largest chunk is not CloudflareMost")
	}
}

// Each request takes an hour, and a signature is valid for 90 minutes.
func TestBunny_SignatureIsRenewedMidUpload(t *testing.T) {
	const library, key, video = "4711", "key", "a-video"
	begin := time.Unix(1767225600, 0)
	server := func(t *testing.T) (*strict.Server, func() time.Time) {
		var hours atomic.Int64
		now := func() time.Time { return begin.Add(time.Duration(hours.Load()) * time.Hour) }
		return strict.NewServer(t, strict.Rules{
			Metadata: []string{"title", "filetype"},
			Authorize: func(r *http.Request) error {
				hours.Add(1)
				h := r.Header
				expires, err := strconv.ParseInt(h.Get("AuthorizationExpire"), 10, 64)
				if err != nil || time.Unix(expires, 0).Before(now()) {
					return errors.New("the signature expired")
				}
				want := hosted.SignBunny(h.Get("LibraryId"), key, h.Get("VideoId"), time.Unix(expires, 0))
				if h.Get("AuthorizationSignature") != want.Signature {
					return errors.New("the signature is wrong")
				}
				return nil
			},
		}), now
	}
	service := func(srv *strict.Server, sign func(context.Context) (hosted.BunnySignature, error)) hosted.Service {
		s := hosted.BunnyStream(library, video, "A title", "video/mp4", sign)
		s.Endpoint = srv.Endpoint()
		s.Upload.ChunkSize = 1000
		return s
	}
	const valid = 90 * time.Minute
	t.Run("each time", func(t *testing.T) {
		srv, now := server(t)
		wantUploaded(t, srv, service(srv, func(context.Context) (hosted.BunnySignature, error) {
			return hosted.SignBunny(library, key, video, now().Add(valid)), nil
		}), 5000)
	})
	t.Run("after a 401", func(t *testing.T) { // sign caches the signature
		srv, now := server(t)
		var cached hosted.BunnySignature
		refused := 0
		s := service(srv, func(context.Context) (hosted.BunnySignature, error) {
			if n := len(srv.Broken()); n > refused || cached.Signature == "" {
				refused, cached = n, hosted.SignBunny(library, key, video, now().Add(2*valid))
			}
			return cached, nil
		})
		path, data := newFile(t, 5000)
		result, err := s.UploadFile(testContext(t), path)
		if err != nil {
			t.Fatal(err)
		}
		if stored, _ := srv.Upload(result.URL); !bytes.Equal(stored.Data, data) || len(srv.Broken()) == 0 {
			t.Errorf("%d bytes are stored, signatures expired %d times", len(stored.Data), len(srv.Broken()))
		}
	})
	t.Run("never", func(t *testing.T) {
		srv, _ := server(t)
		once := hosted.SignBunny(library, key, video, begin.Add(valid))
		wantBroken(t, srv, service(srv, func(context.Context) (hosted.BunnySignature, error) { return once, nil }), 5000)
	})
	t.Run("backend unavailable", func(t *testing.T) {
		srv, _ := server(t)
		unavailable := errors.New("the backend is unavailable")
		s := service(srv, func(context.Context) (hosted.BunnySignature, error) { return hosted.BunnySignature{}, unavailable })
		path, _ := newFile(t, 10)
		if _, err := s.UploadFile(testContext(t), path); !errors.Is(err, unavailable) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestHandedOut_ResumesUploadOfBackend(t *testing.T) {
	srv := strict.NewServer(t, strict.Rules{NoCreation: true, Authorize: func(r *http.Request) error {
		if r.Header.Get("Authorization") != "" {
			return errors.New("the request has a token")
		}
		return nil
	}})
	url := srv.CreateUpload(5000)
	s := hosted.HandedOut(url)
	s.Upload.ChunkSize = 1000
	s.Upload.StopAt = 2000
	path, data := newFile(t, 5000)
	if _, err := s.UploadFile(testContext(t), path); !errors.Is(err, tus.ErrPaused) {
		t.Fatal(err)
	}
	s.Upload.StopAt = 0
	result, err := s.UploadFile(testContext(t), path)
	if err != nil || result.Stats.ResumedFrom != 2000 {
		t.Fatalf("resumed from %d, %v", result.Stats.ResumedFrom, err)
	}
	if stored, _ := srv.Upload(url); !bytes.Equal(stored.Data, data) {
		t.Errorf("the server has %d other bytes", len(stored.Data))
	}
	if n := srv.Count(http.MethodPost); n != 1 || len(srv.Broken()) > 0 { // by CreateUpload
		t.Errorf("%d creations, %v", n, srv.Broken())
	}
	srv.Forget(url)
	if _, err := hosted.HandedOut(url).UploadFile(testContext(t), path); !errors.Is(err, tus.ErrUploadGone) {
		t.Errorf("error is %v", err)
	}
}

func TestMinted_ScopeFindsUploadOfOtherEndpoint(t *testing.T) {
	path, data := newFile(t, 5000)
	for _, c := range []struct {
		scope string
		from  int64
	}{{"videos", 2000}, {"", 0}} {
		srv := strict.NewServer(t, strict.Rules{Minted: true})
		store := &storage.Memory{}
		session := func(stopAt int64) *tus.Result {
			s := hosted.Minted(srv.MintEndpoint(), c.scope)
			s.Client.Store = store
			s.Upload.ChunkSize, s.Upload.StopAt = 1000, stopAt
			result, err := s.UploadFile(testContext(t), path)
			if err != nil && !errors.Is(err, tus.ErrPaused) {
				t.Fatal(err)
			}
			return result
		}
		session(2000)
		result := session(0)
		if stored, _ := srv.Upload(result.URL); !bytes.Equal(stored.Data, data) || result.Stats.ResumedFrom != c.from {
			t.Errorf("scope %q: %d bytes are stored, resumed from %d", c.scope, len(stored.Data), result.Stats.ResumedFrom)
		}
	}
}

func TestMinted_EndpointCreatesOneUpload(t *testing.T) {
	srv := strict.NewServer(t, strict.Rules{Minted: true})
	endpoint := srv.MintEndpoint()
	wantUploaded(t, srv, hosted.Minted(endpoint, "videos"), 10)
	wantBroken(t, srv, hosted.Minted(endpoint, "videos"), 10)
}

func TestBehindProxy_ChunkSizeIsHalvedAfter413(t *testing.T) {
	const limit = 2_500_000
	path, data := newFile(t, 13*mib)
	srv := strict.NewServer(t, strict.Rules{BodyLimit: limit})
	s := hosted.BehindProxy(srv.Endpoint())
	s.Upload.ChunkSize = 12 * mib // the default is 96 MiB
	result, err := s.UploadFile(testContext(t), path)
	if err != nil {
		t.Fatal(err)
	}
	if stored, _ := srv.Upload(result.URL); !bytes.Equal(stored.Data, data) {
		t.Errorf("the server has %d other bytes", len(stored.Data))
	}
	// Chunks of 12, 6 and 3 MiB are refused, 1.5 MiB are accepted.
	if n := len(srv.Broken()); n != 3 {
		t.Errorf("%d requests were refused: %v", n, srv.Broken())
	}
	srv = strict.NewServer(t, strict.Rules{BodyLimit: limit})
	s.Endpoint, s.Upload.MinChunkSize = srv.Endpoint(), 0
	if _, err := s.UploadFile(testContext(t), path); !errors.Is(err, tus.ErrTooLarge) {
		t.Errorf("without MinChunkSize the error is %v", err)
	}
}
