package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/netfault"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

// resumeByURL resumes an upload with a new client that has only its URL, and
// checks that the client sends only the missing bytes.
func resumeByURL(t *testing.T, server *tusdtest.Server, url string, f file) {
	t.Helper()
	client := newClient(t, server.Endpoint(), tus.Options{})
	res, err := client.Resume(testContext(t), url, tus.File(f.path), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, url, f)
	wantNoLeftovers(t, server)
	wantContiguousPatches(t, &server.Journal, f)
	s := res.Stats
	if s.ResumedFrom == 0 || s.ResumedFrom+s.Uploaded != f.size || s.Requests["POST"] != 0 {
		t.Errorf("stats of the second session are %+v", s)
	}
	// After a retry, the stopped request has moved the offset: see wantContiguousPatches.
	if s.Retries == 0 && (s.ResumedFrom+s.Sent != f.size || s.Resent != 0) {
		t.Errorf("stats of the second session are %+v", s)
	}
	if server.Count("POST") != 1 {
		t.Errorf("requests were %v", server.Methods())
	}
}

// stop is a way to stop an upload.
type stop struct {
	do   func(*tus.Uploader, context.CancelFunc)
	want error
}

func stops() map[string]stop {
	return map[string]stop{
		"pause":  {func(u *tus.Uploader, _ context.CancelFunc) { u.Pause() }, tus.ErrPaused},
		"cancel": {func(_ *tus.Uploader, cancel context.CancelFunc) { cancel() }, context.Canceled},
	}
}

func TestStop_MidPatchIsResumableByURL(t *testing.T) {
	t.Parallel()
	for name, test := range stops() {
		for _, chunk := range []int64{0, 5_000_000} {
			t.Run(fmt.Sprintf("%s/chunk %d", name, chunk), func(t *testing.T) {
				server := tusdtest.Start(t, nil)
				f := newFile(t, 24*mib)
				ctx, cancel := context.WithCancel(testContext(t))
				defer cancel()
				var uploader *tus.Uploader
				client := newClient(t, server.Endpoint(), tus.Options{
					RateLimit: &tripwire{at: 12 * mib, do: func() { test.do(uploader, cancel) }},
				})
				uploader, err := client.NewUploader(tus.File(f.path), &tus.UploadOptions{ChunkSize: chunk})
				if err != nil {
					t.Fatal(err)
				}
				res, err := uploader.Run(ctx)
				wantError(t, err, test.want)
				if s := res.Stats; s.Sent >= f.size || res.Offset >= f.size || uploader.State() != tus.StatePaused {
					t.Errorf("state %v, result %+v", uploader.State(), res)
				}
				resumeByURL(t, server, res.URL, f)
			})
		}
	}
}

func TestStop_EndsStalledRequest(t *testing.T) {
	t.Parallel()
	// Without a stall timeout, only the stop can end the request.
	places := map[string]netfault.Plan{
		"in the body":     fault(netfault.Up, inPatchBody, 9*mib, netfault.Stall),
		"in the response": fault(netfault.Down, inPatchResponse, 5, netfault.Stall),
	}
	for name, test := range stops() {
		for place, plan := range places {
			t.Run(name+" "+place, func(t *testing.T) {
				server := tusdtest.Start(t, nil)
				proxy := netfault.New(t, server.Addr())
				f := newFile(t, 24*mib)
				ctx, cancel := context.WithCancel(testContext(t))
				defer cancel()
				client := newClient(t, proxy.Through(server.Endpoint()), tus.Options{StallTimeout: -1})
				uploader, err := client.NewUploader(tus.File(f.path), nil)
				if err != nil {
					t.Fatal(err)
				}
				plan.Faults = append([]netfault.Fault(nil), plan.Faults...)
				plan.Faults[0].Then = func() { test.do(uploader, cancel) }
				proxy.Next(plan)
				res, err := uploader.Run(ctx)
				wantError(t, err, test.want)
				resumeByURL(t, server, res.URL, f)
			})
		}
	}
}

func TestStopAt_EndsAtExactOffset(t *testing.T) {
	t.Parallel()
	for _, chunk := range []int64{0, 2 * mib} {
		t.Run(fmt.Sprintf("chunk %d", chunk), func(t *testing.T) {
			const stop = 7*mib + 3
			server := tusdtest.Start(t, nil)
			f := newFile(t, 24*mib)
			client := newClient(t, server.Endpoint(), tus.Options{})
			res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: chunk, StopAt: stop})
			wantError(t, err, tus.ErrPaused)
			wantSize(t, server, res.URL, stop)
			if res.Offset != stop || res.Stats.Sent != stop {
				t.Errorf("result is %+v", res)
			}
			resumeByURL(t, server, res.URL, f)
		})
	}
}

func TestRun_ResumesPausedUploader(t *testing.T) {
	t.Parallel()
	server := tusdtest.Start(t, nil)
	f := newFile(t, 24*mib)
	client := newClient(t, server.Endpoint(), tus.Options{})
	uploader, err := client.NewUploader(tus.File(f.path), &tus.UploadOptions{StopAt: 9 * mib})
	if err != nil {
		t.Fatal(err)
	}
	_, err = uploader.Run(testContext(t))
	wantError(t, err, tus.ErrPaused)
	res, err := uploader.Run(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	wantNothingResent(t, &server.Journal, f, res.Stats)
	if res.Stats.Resent != 0 {
		t.Errorf("stats are %+v", res.Stats)
	}
}

func TestStep_MakesAtMostOneRequest(t *testing.T) {
	t.Parallel()
	server := tusdtest.Start(t, nil)
	f := newFile(t, 5*mib)
	client := newClient(t, server.Endpoint(), tus.Options{})
	uploader, err := client.NewUploader(tus.File(f.path), &tus.UploadOptions{ChunkSize: 2 * mib})
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	for before := 0; uploader.State() != tus.StateComplete; before = len(server.Requests()) {
		if err := uploader.Step(ctx); err != nil {
			t.Fatal(err)
		}
		if n := len(server.Requests()) - before; n > 1 {
			t.Errorf("a step made %d requests", n)
		}
	}
	wantStored(t, server, uploader.URL(), f)
}

func TestAbort_DeletesUploadOnServer(t *testing.T) {
	t.Parallel()
	server := tusdtest.Start(t, nil)
	f := newFile(t, 24*mib)
	ctx := testContext(t)
	var uploader *tus.Uploader
	aborted := make(chan error, 1)
	client := newClient(t, server.Endpoint(), tus.Options{RateLimit: &tripwire{at: 12 * mib, do: func() {
		go func() { aborted <- uploader.Abort(ctx) }()
	}}})
	uploader, err := client.NewUploader(tus.File(f.path), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := uploader.Run(ctx); err == nil {
		t.Error("the upload succeeded")
	}
	if err := <-aborted; err != nil {
		t.Fatal(err)
	}
	wantEmpty(t, server)
	if uploader.State() != tus.StateAborted {
		t.Errorf("state is %v", uploader.State())
	}
}
