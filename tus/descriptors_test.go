package tus_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

var errNoDescriptor = &os.PathError{Op: "open", Path: "source", Err: syscall.EMFILE}

// TestEMFILE_EveryCallIsRetried makes each call of a source fail once: the first Stat, the
// fingerprint, hashing ahead, a body, the Stat before the last bytes.
func TestEMFILE_EveryCallIsRetried(t *testing.T) {
	for _, sums := range []checksumMode{noChecksums, inHeader, inTrailer} {
		for _, w := range ways {
			if w.name == written { // its source is not the caller's
				continue
			}
			t.Run(fmt.Sprint(w.name, sums), func(t *testing.T) {
				t.Parallel()
				failing := int32(1)
				for ; !retriesCall(t, w, sums, failing); failing++ {
				}
				if failing < 3 {
					t.Errorf("the source was called %d times", failing-1)
				}
			})
		}
	}
}

// retriesCall reports whether the source had fewer calls than failing.
func retriesCall(t *testing.T, w way, sums checksumMode, failing int32) (over bool) {
	without := []string{"concatenation-unfinished"}
	if sums == inHeader {
		without = append(without, "checksum-trailer")
	}
	onTCP(t, &tustest.Options{Extensions: tustest.Without(without...)}, func(t *testing.T, s *stage) {
		if sums != noChecksums {
			s.checksums = checksum.Builtin()
		}
		s.stored = !w.once()
		ctx, cancel := hangTimeout(s)
		defer cancel()
		path := tempFile(t, randomBytes(faultSize))
		if w.name == resumed {
			first := w.opts
			first.StopAt = faultBegun
			_, err := s.client(t, tus.Options{}).Upload(ctx, w.source(path), &first)
			wantError(t, err, tus.ErrPaused)
		}
		var calls atomic.Int32
		call := func() error {
			if calls.Add(1) == failing {
				return errNoDescriptor
			}
			return nil
		}
		source := &hookedSource{Source: w.source(path), beforeStat: call, beforeOpen: func(context.Context) error { return call() }}
		how := w.opts
		res, err := s.client(t, tus.Options{}).Upload(ctx, source, &how)
		if err != nil {
			t.Fatalf("call %d failed: %v", failing, err)
		}
		wantStored(t, s.Handler, res.URL, randomBytes(faultSize))
		if n := len(s.records(t)); n != 0 {
			t.Errorf("call %d failed: %d records are left", failing, n)
		}
		if n := res.Stats.Restarts; n != 0 {
			t.Errorf("call %d failed: started over %d times", failing, n)
		}
		over = calls.Load() < failing
		if !over && res.Stats.Retries == 0 {
			t.Errorf("call %d failed, and nothing was retried", failing)
		}
	})
	return over
}

func TestEMFILE_IsRetryableExceptFromHook(t *testing.T) {
	for _, err := range []error{errNoDescriptor, fmt.Errorf("source: %w", syscall.ENFILE)} {
		if !tus.IsRetryable(err) {
			t.Errorf("%v is not retryable", err)
		}
	}
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{
		BeforeRequest: func(*http.Request) error { return errNoDescriptor },
	}})
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), nil)
	wantError(t, err, syscall.EMFILE)
	if tus.IsRetryable(err) || res.Stats.Retries > 0 {
		t.Errorf("an error of a hook was retried %d times: %v", res.Stats.Retries, err)
	}
}

// A source that never gets a descriptor ends the upload when the retries are used up and
// no other request of the client is in flight.
func TestEMFILE_WithoutOthersEndsTheUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var tries atomic.Int32
	source := &hookedSource{Source: tus.Bytes(randomBytes(10)), beforeOpen: func(context.Context) error {
		tries.Add(1)
		return errNoDescriptor
	}}
	_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, nil)
	wantError(t, err, syscall.EMFILE)
	if n := tries.Load(); n != 9 {
		t.Errorf("the source was opened %d times", n)
	}
	if n := len(srv.Uploads()); n != 0 {
		t.Errorf("%d uploads were created", n)
	}
}

// While another request of the client has descriptors, EMFILE does not end an upload,
// however often it occurs.
func TestEMFILE_WaitsForOtherRequests(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	release := make(chan struct{})
	other := make(chan error, 1)
	holding := make(chan struct{})
	go func() {
		source := &hookedSource{Source: tus.Bytes(randomBytes(20)), beforeOpen: func(context.Context) error {
			close(holding)
			<-release
			return nil
		}}
		_, err := client.Upload(testContext(t), source, nil)
		other <- err
	}()
	<-holding
	const failures = 30
	var tries atomic.Int32
	source := &hookedSource{Source: tus.Bytes(randomBytes(10)), beforeOpen: func(context.Context) error {
		if tries.Add(1) <= failures {
			return errNoDescriptor
		}
		return nil
	}}
	res, err := client.Upload(testContext(t), source, nil)
	if err != nil {
		t.Errorf("after %d failures: %v", tries.Load(), err)
	} else if wantStored(t, srv.Handler, res.URL, randomBytes(10)); res.Stats.Retries != failures {
		t.Errorf("%d retries, want %d", res.Stats.Retries, failures)
	}
	close(release)
	if err := <-other; err != nil {
		t.Error(err)
	}
}

// A failed dial does not mean that the server refuses data in a creation.
func TestEMFILE_OfTheDialerKeepsCreationWithUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	transport := tus.NewTransport()
	dial := transport.DialContext
	var dials atomic.Int32
	transport.DialContext = failingDial(&dials, 2, dial)
	transport.DisableKeepAlives = true
	client := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: &http.Client{Transport: transport}})
	data := randomBytes(1000)
	res, err := client.Upload(testContext(t), tus.ReaderAt(bytes.NewReader(data), 1000), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	wantMethods(t, srv.Handler, "OPTIONS", "POST")
}

// failingDial fails the nth connection with EMFILE; n is failing.
func failingDial(dials *atomic.Int32, failing int32, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == failing {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		return dial(ctx, network, address)
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)
