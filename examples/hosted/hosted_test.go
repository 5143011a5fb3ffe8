package hosted_test

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/seed-175555ba/tus-go/tus/presets"
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
	srv := strict.NewServer(t, strict.Vimeo())
	url := srv.CreateUpload(5000)
	s := hosted.HandedOut(url, presets.Vimeo())
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
	if _, err := hosted.HandedOut(url, presets.Vimeo()).UploadFile(testContext(t), path); !errors.Is(err, tus.ErrUploadGone) {
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
