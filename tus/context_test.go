package tus_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// places returns faults that make an upload wait, by what it waits for.
func places() map[string][]tustest.Fault {
	return map[string][]tustest.Fault{
		"OPTIONS":          {{Method: "OPTIONS", Action: tustest.Stall()}},
		"POST":             {{Method: "POST", Action: tustest.Stall()}},
		"PATCH":            {{Method: "PATCH", Action: faults.StallAfter(500)}},
		"response":         {{Method: "PATCH", Action: silent}},
		"body of response": {{Method: "PATCH", Action: drip}},
		"HEAD":             {{Method: "PATCH", Action: tustest.CutBefore()}, {Method: "HEAD", Action: tustest.Stall()}},
		"wait for POST":    {{Method: "POST", Action: faults.RespondAfter(503, "", "Retry-After", "60")}},
		"wait for HEAD":    {{Method: "PATCH", Action: faults.RespondAfter(503, "", "Retry-After", "60")}},
	}
}

// optionsFor returns options for an upload that reaches the place: OPTIONS is sent only
// for a source that fits one request.
func optionsFor(place string) *tus.UploadOptions {
	if place == "OPTIONS" {
		return nil
	}
	return chunked()
}

func TestContext_EndPausesUpload(t *testing.T) {
	because := errors.New("the user left")
	ends := map[string]struct {
		want error
		make func(context.Context) (context.Context, context.CancelFunc)
	}{
		"cancel": {context.Canceled, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(2*time.Second, func() { cancel(because) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		}},
		"deadline": {context.DeadlineExceeded, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 2*time.Second, because)
		}},
	}
	for place, faults := range places() {
		for name, end := range ends {
			t.Run(name+" in "+place, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
					h.Inject(faults...)
					data := randomBytes(3000)
					u, err := newClient(nil).NewUploader(tus.Bytes(data), optionsFor(place))
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := end.make(t.Context())
					defer cancel()
					begin := time.Now()
					res, err := u.Run(ctx)
					if got := time.Since(begin); got != 2*time.Second {
						t.Errorf("Run returned after %v", got)
					}
					wantError(t, err, end.want)
					wantError(t, err, because)
					if u.State() != tus.StatePaused || res == nil || res.URL != u.URL() {
						t.Errorf("state is %v, result %+v", u.State(), res)
					}
					res, err = u.Run(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					wantStored(t, h, res.URL, data)
					if u.State() != tus.StateComplete {
						t.Errorf("state is %v", u.State())
					}
				})
			})
		}
	}
}

func TestContext_EndedBeforeSendsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	client := newClient(t, srv.Endpoint(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Upload":           func() error { _, err := client.Upload(ctx, tus.Bytes(randomBytes(10)), nil); return err },
		"Upload in chunks": func() error { _, err := client.Upload(ctx, tus.Bytes(randomBytes(3000)), chunked()); return err },
		"Resume":           func() error { _, err := client.Resume(ctx, srv.Endpoint()+"1", tus.Bytes(nil), nil); return err },
		"Capabilities":     func() error { _, err := client.Capabilities(ctx); return err },
		"Info":             func() error { _, err := client.Info(ctx, srv.Endpoint()+"1"); return err },
		"Terminate":        func() error { return client.Terminate(ctx, srv.Endpoint()+"1") },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	wantMethods(t, srv.Handler)
}

func TestContext_EndsRetriesOfInfo(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		h.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.Respond(503, "", "Retry-After", "60")})
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := newClient(nil).Info(ctx, "http://tus.test/files/1")
		wantError(t, err, context.DeadlineExceeded)
		if got := time.Since(begin); got != 90*time.Second || h.Count("HEAD") != 2 {
			t.Errorf("it took %v and %d requests", got, h.Count("HEAD"))
		}
	})
}

// The error of the context is returned even if a response comes at the same time.
func TestContext_EndIsReturnedDespiteResponse(t *testing.T) {
	for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD"} {
		for _, status := range []int{400, 401, 403, 404, 409, 423, 500} {
			srv := tustest.NewServer(t, nil)
			if method == "HEAD" {
				srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()})
			}
			srv.Inject(tustest.Fault{Method: method, Action: faults.RespondAfter(status, "")})
			ctx, cancel := context.WithCancel(testContext(t))
			client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin(), Hooks: tus.Hooks{
				AfterResponse: func(r *http.Request, _ *tus.Response) {
					if r.Method == method {
						cancel()
					}
				},
			}})
			u, err := client.NewUploader(tus.Bytes(randomBytes(1000)), whole())
			if err != nil {
				t.Fatal(err)
			}
			_, err = u.Run(ctx)
			if !errors.Is(err, context.Canceled) || u.State() != tus.StatePaused || tus.IsRetryable(err) {
				t.Errorf("%s, %d: state %v, error %v", method, status, u.State(), err)
			}
			cancel()
		}
	}
	// The same for calls without an Uploader.
	srv := tustest.NewServer(t, nil)
	for what, call := range map[string]func(ctx context.Context, c *tus.Client) error{
		"Info":      func(ctx context.Context, c *tus.Client) error { _, err := c.Info(ctx, srv.Endpoint()+"1"); return err },
		"Terminate": func(ctx context.Context, c *tus.Client) error { return c.Terminate(ctx, srv.Endpoint()+"1") },
		"Create": func(ctx context.Context, c *tus.Client) error {
			_, err := c.Create(ctx, tus.CreateOptions{Size: 1, Partial: true})
			return err
		},
	} {
		srv.Inject(tustest.Fault{Action: faults.RespondAfter(403, "")})
		ctx, cancel := context.WithCancel(testContext(t))
		c := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{AfterResponse: func(*http.Request, *tus.Response) { cancel() }}})
		if err := call(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
}
