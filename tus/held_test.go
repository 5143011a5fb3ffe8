package tus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// heldCase is a stored upload with 3000 of 10,000 bytes, leased by a process of another
// machine.
type heldCase struct {
	t      *testing.T
	h      *tustest.Handler
	store  *storage.Memory
	data   []byte
	opts   *tus.UploadOptions
	client *tus.Client
	log    bytes.Buffer
	held   []*tus.Uploader // arguments of OnHeld
	events []*tus.HeldError
	began  time.Time
}

// foreignProcess is a process of another machine, in the form of a lease.
const foreignProcess = "v1/pod/boot/pid:[4026531836]time:[4026531834]/1/123"

// withHeld runs f in a bubble with a stored upload whose lease has that duration.
func withHeld(t *testing.T, lasts time.Duration, f func(*testing.T, *heldCase)) {
	t.Helper()
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		c := &heldCase{t: t, h: h, store: &storage.Memory{}, data: randomBytes(10_000), opts: chunked()}
		c.client = newClient(&tus.Options{
			Store: c.store, Logger: slog.New(slog.NewTextHandler(&c.log, nil)),
			Hooks: tus.Hooks{OnHeld: func(u *tus.Uploader, held *tus.HeldError) {
				c.held, c.events = append(c.held, u), append(c.events, held)
			}},
		})
		c.addStored()
		c.began = time.Now()
		c.holdFor(lasts)
		f(t, c)
	})
}

// addStored adds a stored upload.
func (c *heldCase) addStored() {
	c.t.Helper()
	opts := chunked()
	opts.StopAt, opts.Held = 3000, tus.HeldBegin
	// Existing records must not be found by this upload.
	before := records(c.t, c.store)
	for _, rec := range before {
		if err := c.store.Delete(c.t.Context(), rec.ID, rec.Revision); err != nil {
			c.t.Fatal(err)
		}
	}
	_, err := c.client.Upload(c.t.Context(), tus.Bytes(c.data), opts)
	wantError(c.t, err, tus.ErrPaused)
	for _, rec := range before {
		rec.Revision = 0
		if _, err := c.store.Put(c.t.Context(), rec); err != nil {
			c.t.Fatal(err)
		}
	}
	c.log.Reset()
}

func (c *heldCase) holdFor(d time.Duration) storage.Record {
	c.t.Helper()
	return hold(c.t, c.store, storage.Lease{Holder: "another", Process: foreignProcess, Until: time.Now().Add(d)})
}

func (c *heldCase) after(d time.Duration, f func()) (wait func()) {
	var group sync.WaitGroup
	group.Go(func() {
		time.Sleep(d)
		f()
	})
	return group.Wait
}

func (c *heldCase) upload() (*tus.Result, error) {
	return c.client.Upload(c.t.Context(), tus.Bytes(c.data), c.opts)
}

// wantResumed fails unless the stored upload is resumed after the wait.
func (c *heldCase) wantResumed(res *tus.Result, err error, wait time.Duration) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	wantStored(c.t, c.h, res.URL, c.data)
	if n := len(c.h.Uploads()); n != 1 || res.Stats.ResumedFrom != 3000 || res.Stats.NotResumed != 0 || res.Stats.Retries != 0 {
		c.t.Errorf("%d uploads, result is %+v", n, res)
	}
	c.wantAt(wait)
	wantEmptyStore(c.t, c.store)
}

// wantSecondUpload fails unless a second upload started after the wait and was logged.
func (c *heldCase) wantSecondUpload(res *tus.Result, err error, wait time.Duration) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	wantStored(c.t, c.h, res.URL, c.data)
	if n := len(c.h.Uploads()); n != 2 || res.Stats.ResumedFrom != 0 || res.Stats.NotResumed != 1 {
		c.t.Errorf("%d uploads, result is %+v", n, res)
	}
	if !strings.Contains(c.log.String(), `level=WARN msg="tus starting over: `) {
		c.t.Errorf("log is %s", &c.log)
	}
	c.wantAt(wait)
}

// wantAt fails unless the time since the start is wait, or up to two seconds more.
func (c *heldCase) wantAt(wait time.Duration) {
	c.t.Helper()
	if took := time.Since(c.began); took < wait || took > wait+2*time.Second {
		c.t.Errorf("it took %v, want %v", took, wait)
	}
}

func (c *heldCase) wantReported(wait time.Duration) {
	c.t.Helper()
	if len(c.events) != 1 || c.held[0] == nil || c.events[0].Wait != wait ||
		!strings.HasSuffix(c.events[0].Error(), ": http://tus.test/files/"+c.h.Uploads()[0].ID) || !strings.Contains(c.log.String(), `level=WARN msg="tus stored upload is held"`) {
		c.t.Errorf("OnHeld got %+v, log is %s", c.events, &c.log)
	}
}

func TestHeld_LeaseThatEndsIsAcquired(t *testing.T) {
	for _, lasts := range []time.Duration{time.Second, 50 * time.Second, time.Minute} {
		withHeld(t, lasts, func(t *testing.T, c *heldCase) {
			res, err := c.upload()
			c.wantResumed(res, err, lasts)
			c.wantReported(lasts)
			if strings.Contains(c.log.String(), "starting over") {
				t.Errorf("log is %s", &c.log)
			}
		})
	}
}

func TestHeld_LeaseOfClockAheadIsAcquiredAfterMinute(t *testing.T) {
	withHeld(t, 110*time.Second, func(t *testing.T, c *heldCase) {
		res, err := c.upload()
		c.wantResumed(res, err, time.Minute)
		c.wantReported(time.Minute)
	})
}

func TestHeld_ReleasedLeaseEndsTheWait(t *testing.T) {
	withHeld(t, time.Minute, func(t *testing.T, c *heldCase) {
		defer c.after(10*time.Second, func() {
			rec := records(t, c.store)[0]
			rec.Lease = nil
			if _, err := c.store.Put(context.Background(), rec); err != nil {
				t.Error(err)
			}
		})()
		res, err := c.upload()
		c.wantResumed(res, err, 10*time.Second)
	})
}

func TestHeld_RenewedLeaseStartsSecondUpload(t *testing.T) {
	withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
		defer c.after(20*time.Second, func() { c.holdFor(time.Minute) })()
		res, err := c.upload()
		c.wantSecondUpload(res, err, 20*time.Second)
		c.wantReported(50 * time.Second)
	})
}

func TestHeld_UploadCompletedByItsHolderStartsOver(t *testing.T) {
	withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
		defer c.after(20*time.Second, func() {
			rec := records(t, c.store)[0]
			if err := c.store.Delete(context.Background(), rec.ID, rec.Revision); err != nil {
				t.Error(err)
			}
		})()
		res, err := c.upload()
		c.wantSecondUpload(res, err, 20*time.Second)
	})
}

func TestHeld_StoreErrorDuringWaitLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		memory, finds := &storage.Memory{}, 0
		store := &scripted{Store: memory, find: func(next func() ([]storage.Record, error)) ([]storage.Record, error) {
			if finds++; finds > 1 {
				return nil, errors.New("no route to the store")
			}
			return next()
		}}
		data, opts := randomBytes(10_000), chunked()
		opts.StopAt = 3000
		_, err := newClient(&tus.Options{Store: memory}).Upload(t.Context(), tus.Bytes(data), opts)
		wantError(t, err, tus.ErrPaused)
		hold(t, memory, storage.Lease{Holder: "another", Process: foreignProcess, Until: time.Now().Add(30 * time.Second)})
		res, err := newClient(&tus.Options{Store: store}).Upload(t.Context(), tus.Bytes(data), chunked())
		if err != nil || res.Stats.ResumedFrom != 3000 || len(h.Uploads()) != 1 {
			t.Fatalf("result is %+v, %v", res, err)
		}
		wantStored(t, h, res.URL, data)
	})
}

func TestHeld_FailReturnsEndOfLeaseAtOnce(t *testing.T) {
	withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
		c.opts.Held = tus.HeldFail
		until := records(t, c.store)[0].Lease.Until
		_, err := c.upload()
		var held *tus.HeldError
		if !errors.As(err, &held) || !held.Until.Equal(until) || held.Wait != 0 || tus.IsRetryable(err) ||
			!strings.Contains(err.Error(), until.Format(time.RFC3339)) {
			t.Errorf("error %v", err)
		}
		c.wantAt(0)
		c.wantReported(0)
		if len(c.h.Uploads()) != 1 || len(records(t, c.store)) != 1 {
			t.Errorf("uploads are %+v", c.h.Uploads())
		}
	})
}

func TestHeld_BeginDoesNotWait(t *testing.T) {
	withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
		c.opts.Held = tus.HeldBegin
		res, err := c.upload()
		c.wantSecondUpload(res, err, 0)
		c.wantReported(0)
	})
}

func TestHeld_HolderInThisProcessMeansNoWait(t *testing.T) {
	for policy, fails := range map[tus.HeldPolicy]bool{tus.HeldWait: false, tus.HeldBegin: false, tus.HeldFail: true} {
		bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
			client, data, opts := newClient(&tus.Options{Store: &storage.Memory{}}), randomBytes(10_000), chunked()
			stepTo(t, created(t, client, tus.Bytes(data), chunked()), 3000)
			opts.Held = policy
			began := time.Now()
			res, err := client.Upload(t.Context(), tus.Bytes(data), opts)
			if isHeld(err) != fails || !fails && (err != nil || res.Stats.NotResumed != 1) || time.Since(began) > 0 {
				t.Errorf("policy %d: result is %+v, %v after %v", policy, res, err, time.Since(began))
			}
		})
	}
}

func TestHeld_StepReturnsHowLongToWait(t *testing.T) {
	withHeld(t, 3500*time.Millisecond, func(t *testing.T, c *heldCase) {
		u, err := c.client.NewUploader(tus.Bytes(c.data), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		waits := 0
		for u.State() != tus.StateComplete {
			before := time.Now()
			err := u.Step(t.Context())
			var held *tus.HeldError
			switch {
			case errors.As(err, &held):
				if !tus.IsRetryable(err) || held.Wait <= 0 || held.Wait != time.Until(held.Until) || time.Since(before) > 0 {
					t.Fatalf("error %v, wait %v after %v", err, held.Wait, time.Since(before))
				}
				waits++
				time.Sleep(min(held.Wait, time.Second))
			case err != nil:
				t.Fatal(err)
			}
		}
		if waits != 4 || len(c.events) != 1 || u.Stats().ResumedFrom != 3000 {
			t.Errorf("waited %d times, OnHeld got %+v, stats are %+v", waits, c.events, u.Stats())
		}
	})
}

func TestHeld_WaitEndsWithContextAndPause(t *testing.T) {
	withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
		u, err := c.client.NewUploader(tus.Bytes(c.data), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = u.Run(ctx)
		wantError(t, err, context.DeadlineExceeded)
		defer c.after(5*time.Second, u.Pause)()
		_, err = u.Run(t.Context())
		wantError(t, err, tus.ErrPaused)
		synctest.Wait()
		if left := records(t, c.store); u.State() != tus.StatePaused || len(left) != 1 || left[0].Lease.Holder != "another" {
			t.Errorf("state is %v, left %+v", u.State(), left)
		}
		res, err := u.Run(t.Context())
		c.wantResumed(res, err, 50*time.Second)
	})
}

func TestHeld_PreviousFollowsThePolicy(t *testing.T) {
	for _, policy := range []tus.HeldPolicy{tus.HeldWait, tus.HeldFail, tus.HeldBegin} {
		withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
			previous, err := c.client.PreviousUploads(t.Context(), tus.Bytes(c.data), nil)
			if err != nil || len(previous) != 1 || !previous[0].HeldUntil.Equal(c.began.Add(50*time.Second)) {
				t.Fatalf("previous uploads are %+v, %v", previous, err)
			}
			c.opts.Previous, c.opts.Held = &previous[0], policy
			res, err := c.upload()
			switch policy {
			case tus.HeldWait:
				c.wantResumed(res, err, 50*time.Second)
			case tus.HeldFail:
				if !isHeld(err) {
					t.Errorf("error is %v", err)
				}
			case tus.HeldBegin:
				c.wantSecondUpload(res, err, 0)
			}
		})
	}
}

func TestHeld_FreeUploadIsResumedInstead(t *testing.T) {
	for _, policy := range []tus.HeldPolicy{tus.HeldWait, tus.HeldFail, tus.HeldBegin} {
		withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
			c.addStored()
			c.opts.Held = policy
			res, err := c.upload()
			if err != nil || res.Stats.ResumedFrom != 3000 || len(c.h.Uploads()) != 2 {
				t.Fatalf("policy %d: result is %+v, %v", policy, res, err)
			}
			c.wantAt(0)
			if left := records(t, c.store); len(left) != 1 || left[0].Lease == nil {
				t.Errorf("left %+v", left)
			}
		})
	}
}

func TestHeld_GoneFreeUploadLeadsToWait(t *testing.T) {
	withHeld(t, 50*time.Second, func(t *testing.T, c *heldCase) {
		held := c.h.Uploads()[0].ID
		c.addStored()
		for _, up := range c.h.Uploads() {
			if up.ID != held {
				c.h.Forget(up.ID)
			}
		}
		res, err := c.upload()
		if err != nil || !strings.HasSuffix(res.URL, held) || res.Stats.ResumedFrom != 3000 || res.Stats.NotResumed != 1 {
			t.Fatalf("result is %+v, %v", res, err)
		}
		c.wantAt(50 * time.Second)
		wantEmptyStore(t, c.store)
	})
}

func TestHeld_ParallelUploadIsResumed(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		store, data := &storage.Memory{}, randomBytes(4000)
		client := newClient(&tus.Options{Store: store})
		h.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: 1, Action: tustest.Respond(403, "")})
		opts := inParts(2)
		opts.ChunkSize = 500
		_, err := client.Upload(t.Context(), tus.Bytes(data), opts)
		wantError(t, err, tus.ErrUnauthorized)
		uploads := len(h.Uploads())
		hold(t, store, storage.Lease{Holder: "another", Process: foreignProcess, Until: time.Now().Add(40 * time.Second)})
		began := time.Now()
		res, err := client.Upload(t.Context(), tus.Bytes(data), opts)
		if err != nil || res.Stats.ResumedFrom < 500 || time.Since(began) < 40*time.Second {
			t.Fatalf("result is %+v, %v after %v", res, err, time.Since(began))
		}
		wantStored(t, h, res.URL, data)
		if n := len(h.Uploads()); n > uploads+1 { // the final upload
			t.Errorf("%d uploads, then %d", uploads, n)
		}
		wantEmptyStore(t, store)
	})
}

func TestHeld_UnknownPolicyIsRefused(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	for _, policy := range []tus.HeldPolicy{-1, 3} {
		_, err := newClient(t, srv.Endpoint(), nil).NewUploader(tus.Bytes(nil), &tus.UploadOptions{Held: policy})
		wantError(t, err, tus.ErrInvalidInput)
	}
}
