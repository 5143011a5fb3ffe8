package tus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// urlEvents collects the upload URLs that the hooks report.
func urlEvents(srv *tustest.Server, events *[]string) tus.Hooks {
	note := func(what, url string, offset int64, concat string) {
		*events = append(*events, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", what, strings.TrimPrefix(url, srv.Endpoint()), offset, concat)))
	}
	return tus.Hooks{
		OnCreated: func(_ *tus.Uploader, c *tus.Created) { note("created", c.URL, 0, c.Concat) },
		OnResumed: func(_ *tus.Uploader, r tus.Resumed) { note("resumed", r.URL, r.Offset, r.Concat) },
	}
}

func TestOnResumed_OfStoredUpload(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), new(storage.Memory)
	data := randomBytes(3000)
	stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 1000)
	var events []string
	opts := chunked()
	opts.StopAt, opts.Hooks = 2000, urlEvents(srv, &events)
	u, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).NewUploader(tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(10)})
	resumePaused(t, u) // its own pause and failure are not reported
	if want := []string{"resumed 00000001 1000"}; !slices.Equal(events, want) {
		t.Errorf("events are %q, want %q", events, want)
	}
}

func TestOnResumed_OfGivenURL(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{Expires: time.Hour})
	data := randomBytes(3000)
	url := uploadOn(t, srv, data)
	var events []string
	opts := chunked()
	opts.Hooks = urlEvents(srv, &events)
	collect := opts.Hooks.OnResumed
	opts.Hooks.OnResumed = func(u *tus.Uploader, r tus.Resumed) {
		collect(u, r)
		if u.URL() != url || r.Expires.IsZero() || srv.Count("PATCH") != 1 { // of uploadOn
			t.Errorf("%s was resumed after %d PATCH, %+v", u.URL(), srv.Count("PATCH"), r)
		}
	}
	srv.Inject(tustest.Fault{Method: "HEAD", Action: tustest.Respond(503, "")})
	if _, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), url, tus.Bytes(data), opts); err != nil {
		t.Fatal(err)
	}
	if want := []string{"resumed 00000001 0"}; !slices.Equal(events, want) {
		t.Errorf("events are %q, want %q", events, want)
	}
}

func TestOnResumed_PrecedesProgress(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	url := uploadOn(t, srv, data)
	resumed := false
	opts := chunked()
	opts.Hooks = tus.Hooks{
		OnResumed: func(*tus.Uploader, tus.Resumed) { resumed = true },
		OnProgress: func(_ *tus.Uploader, p tus.Progress) {
			if !resumed {
				t.Errorf("%+v was reported before the upload was resumed", p)
			}
		},
	}
	if _, err := newClient(t, srv.Endpoint(), nil).Resume(testContext(t), url, tus.Bytes(data), opts); err != nil {
		t.Fatal(err)
	}
}

func TestOnResumed_OfParts(t *testing.T) {
	srv, store := tustest.NewServer(t, nil), new(storage.Memory)
	data := randomBytes(3000)
	opts := &tus.UploadOptions{ChunkSize: 500, Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1000}}}
	canceledAt(t, srv, &tus.Options{Store: store}, data, opts, tustest.Fault{Method: "POST", Skip: 2}) // the final upload
	var events []string
	opts.Hooks = urlEvents(srv, &events)
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	sizes := map[string]bool{}
	for _, event := range events[:min(2, len(events))] {
		fields := strings.Fields(event)
		sizes[strings.Join([]string{fields[0], fields[2], fields[3]}, " ")] = true
	}
	if len(events) != 3 || !sizes["resumed 1000 partial"] || !sizes["resumed 2000 partial"] || !strings.HasPrefix(events[2], "created") {
		t.Errorf("events are %q", events)
	}
}

func TestOnResumed_NotOfOtherUploads(t *testing.T) {
	data := randomBytes(3000)
	for name, prepare := range map[string]func(srv *tustest.Server, store *storage.Memory){
		"new": func(*tustest.Server, *storage.Memory) {},
		"gone": func(srv *tustest.Server, _ *storage.Memory) {
			srv.Inject(tustest.Fault{Method: "HEAD", Action: goneWith(404)})
		},
		"complete": func(srv *tustest.Server, store *storage.Memory) {
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RememberCompleted: time.Hour})
			if _, err := client.Upload(context.Background(), tus.Bytes(data), chunked()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), new(storage.Memory)
			if name == "gone" {
				stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 1000)
			}
			prepare(srv, store)
			var events []string
			opts := chunked()
			opts.Hooks = urlEvents(srv, &events)
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, RememberCompleted: time.Hour})
			if _, err := client.Upload(testContext(t), tus.Bytes(data), opts); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(events, func(e string) bool { return strings.HasPrefix(e, "resumed") }) {
				t.Errorf("events are %q", events)
			}
		})
	}
}
