package tus_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestBeforeRequest_ChangesEveryRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(500)})
	n := 0
	var methods []string
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Header: http.Header{"X-Static": {"from options"}},
		Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			n++
			methods = append(methods, r.Method)
			if got := r.Header.Get("X-Static"); got != "from options" {
				t.Errorf("the hook sees X-Static %q", got)
			}
			r.Header.Set("X-Signature", fmt.Sprintf("%d of %s %s", n, r.Method, r.URL.Path))
			r.Header.Del("X-Static")
			return nil
		}},
	})
	ctx := testContext(t)
	if _, err := client.Capabilities(ctx); err != nil {
		t.Fatal(err)
	}
	res, err := client.Upload(ctx, tus.Bytes(randomBytes(1500)), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Info(ctx, res.URL); err != nil {
		t.Fatal(err)
	}
	if err := client.Terminate(ctx, res.URL); err != nil {
		t.Fatal(err)
	}
	want := []string{"OPTIONS", "POST", "PATCH", "HEAD", "PATCH", "HEAD", "DELETE"}
	wantMethods(t, srv.Handler, want...)
	if !slices.Equal(methods, want) {
		t.Errorf("the hook saw %v", methods)
	}
	for i, r := range srv.Requests() {
		if got, want := r.Header.Get("X-Signature"), fmt.Sprintf("%d of %s %s", i+1, r.Method, r.Path); got != want {
			t.Errorf("X-Signature is %q, want %q", got, want)
		}
		if got := r.Header.Get("X-Static"); got != "" {
			t.Errorf("%s has X-Static %q", r.Method, got)
		}
	}
}

func TestBeforeRequest_RenewsTokenOfEachRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	token := "fresh"
	client := newClient(t, srv.Endpoint(), &tus.Options{
		Retry: tus.RetryPolicy{MaxRetries: -1}, // the repetition does not count as a retry
		Hooks: tus.Hooks{
			BeforeRequest: func(r *http.Request) error { r.Header.Set("Authorization", token); return nil },
			AfterResponse: func(_ *http.Request, resp *tus.Response) {
				if resp.StatusCode == 401 {
					token = "fresh"
				}
			},
		},
	})
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.Header.Get("Authorization") != "fresh" {
			faults.RespondAfter(401, "")(w, r, h)
			return
		}
		h.Serve(w, r)
	}})
	res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	if err != nil {
		t.Fatal(err)
	}
	for i, call := range []func() error{
		func() error {
			_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
			return err
		},
		func() error {
			_, err := client.Resume(testContext(t), res.URL, tus.Bytes(randomBytes(10)), nil)
			return err
		},
		func() error {
			_, err := client.Info(testContext(t), res.URL)
			return err
		},
		func() error { return client.Terminate(testContext(t), res.URL) },
	} {
		token = "stale"
		if err := call(); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestBeforeRequest_SeesProtocolHeaders(t *testing.T) {
	// A hook that signs requests needs all headers.
	srv := tustest.NewServer(t, nil)
	var missing []string
	client := newClient(t, srv.Endpoint(), &tus.Options{OverridePatchMethod: true, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
		for _, name := range []string{"Tus-Resumable", "User-Agent"} {
			if r.Header.Get(name) == "" {
				missing = append(missing, name)
			}
		}
		if r.Header.Get("X-HTTP-Method-Override") == "PATCH" && (r.Header.Get("Upload-Offset") == "" || r.Method != "POST") {
			missing = append(missing, "Upload-Offset")
		}
		return nil
	}}})
	data := randomBytes(1500)
	res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Errorf("the hook did not see %v", missing)
	}
	if up, _ := srv.Upload(res.URL); !bytes.Equal(up.Data, data) {
		t.Error("server has different data")
	}
}
