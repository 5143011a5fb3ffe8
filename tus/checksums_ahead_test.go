package tus_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Hashing is slower than sending here, so that chunks are hashed on two processors.
func TestChunksHashedAheadAreStoredExactly(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	data := randomBytes(24<<20 + 1)
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, chunk := range map[string]int64{"smaller than a buffer": 100_000, "of some buffers": 1 << 20, "larger than the look-ahead": 40 << 20} {
		t.Run(name, func(t *testing.T) {
			srv, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
			srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: flipByte}, tustest.Fault{Method: "POST", Action: flipByte})
			res, err := client.UploadFile(testContext(t), path, &tus.UploadOptions{ChunkSize: chunk, Checksum: checksum.Named("sha512")})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}

// A source may need what is in a context, such as a login or a trace.
func TestSourceIsOpenedWithTheValuesOfTheContext(t *testing.T) {
	_, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	type key struct{}
	var mu sync.Mutex
	opened := 0
	source := openingSource{Source: tus.Bytes(randomBytes(5000)), opens: func(ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		if opened++; ctx.Value(key{}) != "login" {
			t.Errorf("open %d has a context without the value", opened)
		}
	}}
	if _, err := client.Upload(context.WithValue(testContext(t), key{}, "login"), source, chunked()); err != nil {
		t.Fatal(err)
	}
	if opened < 10 {
		t.Errorf("opened %d times, want once for each of five checksums and chunks", opened)
	}
}

// openingSource tells of every Open.
type openingSource struct {
	tus.Source
	opens func(ctx context.Context)
}

func (s openingSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	s.opens(ctx)
	return s.Source.Open(ctx, offset)
}

func TestLookAheadThatHangsDoesNotHoldUpTheEnd(t *testing.T) {
	_, client := verifying(t, tustest.Options{Extensions: tustest.Without("checksum-trailer")})
	release, hangs := make(chan struct{}), make(chan struct{})
	defer close(release)
	source := hangingSource{Source: tus.Bytes(randomBytes(5000)), from: 1000, read: sync.OnceFunc(func() {
		close(hangs)
		<-release
	})}
	wantEndWhenCanceled(t, client, source, chunked(), hangs)
}

// hangingSource is a source whose readers hang, even when they are closed, where
// they begin at an offset or later.
type hangingSource struct {
	tus.Source
	from int64
	read func()
}

func (s hangingSource) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if offset < s.from {
		return s.Source.Open(ctx, offset)
	}
	return blockingSource{Source: s.Source, read: s.read}.Open(ctx, offset)
}
