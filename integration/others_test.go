package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"

	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

// beforePatchAt returns hooks that call do once, before the PATCH at offset.
func beforePatchAt(offset int64, do func(uploadURL string)) tus.Hooks {
	var once sync.Once
	return tus.Hooks{BeforeRequest: func(r *http.Request) error {
		if r.Method == http.MethodPatch && r.Header.Get("Upload-Offset") == strconv.FormatInt(offset, 10) {
			once.Do(func() { do(r.URL.String()) })
		}
		return nil
	}}
}

func TestPatch_ForeignBytesAreNotResent(t *testing.T) {
	t.Parallel()
	const size, foreign = 20 * mib, 300*kib + 7
	for chunk, at := range map[int64]int64{0: 0, 2 * mib: 6 * mib} {
		t.Run(fmt.Sprintf("chunk %d", chunk), func(t *testing.T) {
			server := tusdtest.Start(t, nil)
			other := newRawClient(t)
			f := newFile(t, size)
			client := newClient(t, server.Endpoint(), tus.Options{Hooks: beforePatchAt(at, func(url string) {
				if status := other.patch(url, strconv.FormatInt(at, 10), f.part(t, at, at+foreign)); status != http.StatusNoContent {
					t.Errorf("the other client got %d", status)
				}
			})})
			res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: chunk})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, server, res.URL, f)
			wantContiguousPatches(t, &server.Journal, f)
			if server.Count("HEAD") != 1 || server.Count("POST") != 1 || res.Stats.Retries != 1 {
				t.Errorf("%d retries, requests %v", res.Stats.Retries, server.Methods())
			}
		})
	}
}

func TestPatch_LostBytesAreResent(t *testing.T) {
	t.Parallel()
	const size, at, left = 20 * mib, 6 * mib, 1*mib + 1
	server := tusdtest.Start(t, nil)
	f := newFile(t, size)
	client := newClient(t, server.Endpoint(), tus.Options{Hooks: beforePatchAt(at, func(url string) {
		if err := os.Truncate(server.Path(url), left); err != nil {
			t.Error(err)
		}
	})})
	res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: 2 * mib})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	if res.Stats.Sent != size+res.Stats.Resent || res.Stats.Resent < at-left || res.Stats.Resent > at-left+2*mib {
		t.Errorf("stats are %+v", res.Stats)
	}
}

func TestResume_TwoClientsOnOneURLFinish(t *testing.T) {
	t.Parallel()
	// On tusd each HEAD interrupts the PATCH of the other client.
	for _, chunk := range []int64{0, 1 * mib} {
		t.Run(fmt.Sprintf("chunk %d", chunk), func(t *testing.T) {
			server := tusdtest.Start(t, nil)
			f := newFile(t, 24*mib)
			url := newRawClient(t).create(server.Endpoint(), "Upload-Length", strconv.FormatInt(f.size, 10))
			ctx := testContext(t)
			var both sync.WaitGroup
			for range 2 {
				client := newClient(t, server.Endpoint(), tus.Options{})
				both.Go(func() {
					if _, err := client.Resume(ctx, url, tus.File(f.path), &tus.UploadOptions{ChunkSize: chunk}); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			wantStored(t, server, url, f)
			wantNoLeftovers(t, server)
			if server.Count("POST") != 1 {
				t.Errorf("requests were %v", server.Methods())
			}
		})
	}
}

func TestPatch_InterruptedByTusdResumes(t *testing.T) {
	t.Parallel()
	server := tusdtest.Start(t, nil)
	f := newFile(t, 24*mib)
	ctx := testContext(t)
	var uploader *tus.Uploader
	var seen failures
	other := newClient(t, server.Endpoint(), tus.Options{})
	infoDone := make(chan struct{})
	client := newClient(t, server.Endpoint(), tus.Options{
		Hooks: seen.hooks(),
		RateLimit: &tripwire{at: 10 * mib, do: func() {
			defer close(infoDone)
			info, err := other.Info(ctx, uploader.URL())
			const slice = 32 << 10 // asked of the limit before the source is opened
			if err != nil || info.Offset > 10*mib+slice || info.Length != f.size {
				t.Errorf("info is %+v, %v", info, err)
			}
		}},
	})
	uploader, err := client.NewUploader(tus.File(f.path), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := uploader.Run(ctx)
	waitFor(t, ctx, infoDone)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	wantNothingResent(t, &server.Journal, f, res.Stats)
	// The reset that follows the 400 may discard it.
	if got := seen.statuses(); len(seen.all()) != 1 || len(got) == 1 && got[0] != http.StatusBadRequest {
		t.Errorf("failures were %v", seen.all())
	}
}

// busyLocker is a locker whose locks are held by another client in some attempts.
type busyLocker struct {
	handler.Locker
	mu      sync.Mutex
	attempt int
	busy    map[int]bool // by attempt, from 1
}

func (l *busyLocker) NewLock(id string) (handler.Lock, error) {
	lock, err := l.Locker.NewLock(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempt++
	if l.busy[l.attempt] {
		return busyLock{}, nil
	}
	return lock, err
}

type busyLock struct{}

func (busyLock) Lock(context.Context, func()) error { return handler.ErrFileLocked }
func (busyLock) Unlock() error                      { return nil }

func TestUpload_LockedIsRetried(t *testing.T) {
	t.Parallel()
	// The second PATCH, and two HEADs after it.
	locker := &busyLocker{Locker: memorylocker.New(), busy: map[int]bool{2: true, 3: true, 4: true}}
	server := tusdtest.Start(t, &tusdtest.Options{Locker: locker})
	f := newFile(t, 4*mib)
	var seen failures
	client := newClient(t, server.Endpoint(), tus.Options{Hooks: seen.hooks()})
	res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: 1 * mib})
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	wantMethods(t, server.Methods(), "OPTIONS", "POST", "PATCH", "PATCH", "HEAD", "HEAD", "HEAD", "PATCH", "PATCH", "PATCH")
	if got := seen.statuses(); !slices.Equal(got, []int{423, 423, 423}) {
		t.Errorf("failures were %v", seen.all())
	}
}

func TestTerminate_LockedIsRetried(t *testing.T) {
	t.Parallel()
	locker := &busyLocker{Locker: memorylocker.New(), busy: map[int]bool{1: true, 2: true}}
	server := tusdtest.Start(t, &tusdtest.Options{Locker: locker})
	url := newRawClient(t).create(server.Endpoint(), "Upload-Length", "10")
	if err := newClient(t, server.Endpoint(), tus.Options{}).Terminate(testContext(t), url); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, server.Methods(), "POST", "DELETE", "DELETE", "DELETE")
	wantEmpty(t, server)
}

func wantEmpty(t testing.TB, server *tusdtest.Server) {
	t.Helper()
	if files, err := server.Files(); err != nil || len(files) > 0 {
		t.Errorf("server still has %v (%v)", files, err)
	}
}

// deleteInPatch uploads f, to url if that is not empty, while another client deletes the
// upload in the middle of the first PATCH.
func deleteInPatch(t *testing.T, server *tusdtest.Server, f file, url string) (*tus.Result, error) {
	t.Helper()
	ctx := testContext(t)
	var uploader *tus.Uploader
	other := newClient(t, server.Endpoint(), tus.Options{})
	deleted := make(chan struct{})
	client := newClient(t, server.Endpoint(), tus.Options{RateLimit: &tripwire{at: 10 * mib, do: func() {
		defer close(deleted)
		if err := other.Terminate(ctx, uploader.URL()); err != nil {
			t.Error(err)
		}
	}}})
	var err error
	if url == "" {
		uploader, err = client.NewUploader(tus.File(f.path), nil)
	} else {
		uploader, err = client.NewResumer(url, tus.File(f.path), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := uploader.Run(ctx)
	waitFor(t, ctx, deleted)
	return res, err
}

func TestUpload_DeletedMidPatchStartsOver(t *testing.T) {
	t.Parallel()
	server := tusdtest.Start(t, nil)
	f := newFile(t, 24*mib)
	res, err := deleteInPatch(t, server, f, "")
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	wantNoLeftovers(t, server)
	uploads, err := server.Uploads()
	if err != nil || len(uploads) != 1 || server.Count("POST") != 2 || res.Stats.Restarts != 1 {
		t.Errorf("uploads %v, requests %v, stats %+v", uploads, server.Methods(), res.Stats)
	}
}

func TestExternalURL_DeletedMidPatchIsGone(t *testing.T) {
	t.Parallel()
	server := tusdtest.Start(t, nil)
	f := newFile(t, 24*mib)
	url := newRawClient(t).create(server.Endpoint(), "Upload-Length", strconv.FormatInt(f.size, 10))
	_, err := deleteInPatch(t, server, f, url)
	wantError(t, err, tus.ErrUploadGone)
	wantEmpty(t, server)
	if server.Count("POST") != 1 {
		t.Errorf("requests were %v", server.Methods())
	}
}
