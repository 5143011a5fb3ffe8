package integration_test

import (
	"fmt"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/crash"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestUpload_ServerKilledCompletes(t *testing.T) {
	t.Parallel()
	const size, at = 40 * mib, 15 * mib
	tests := []struct {
		chunk  int64
		server tusdtest.ProcessOptions
	}{
		{0, tusdtest.ProcessOptions{}},
		{0, tusdtest.ProcessOptions{FileLocks: true}}, // the dead server's lock stays on disk
		{4 * mib, tusdtest.ProcessOptions{}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("chunk %d/file locks %v", test.chunk, test.server.FileLocks), func(t *testing.T) {
			t.Parallel()
			server := tusdtest.StartProcess(t, test.server)
			f := newFile(t, size)
			var uploader *tus.Uploader
			var stored int64 // on the dead server's disk
			var sent int64   // by the client when it noticed
			dead := make(chan struct{})
			restarted := make(chan error, 1)
			client := newClient(t, server.Endpoint(), tus.Options{
				RateLimit: &tripwire{at: at, do: func() {
					defer close(dead)
					server.Kill()
					var err error
					if stored, err = server.Size(uploader.URL()); err != nil {
						t.Error(err)
					}
				}},
				Hooks: tus.Hooks{OnRetry: func(_ *tus.Uploader, r tus.Retry) {
					switch r.Attempt {
					case 1:
						sent = uploader.Stats().Sent
					case 5: // the client has seen several refused connections
						go func() {
							<-dead
							restarted <- server.Start()
						}()
					}
				}},
			})
			uploader, err := client.NewUploader(tus.File(f.path), &tus.UploadOptions{ChunkSize: test.chunk})
			if err != nil {
				t.Fatal(err)
			}
			ctx := testContext(t)
			res, err := uploader.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, ctx, dead)
			if err := <-restarted; err != nil {
				t.Fatal(err)
			}
			wantStored(t, server, res.URL, f)
			wantNoLeftovers(t, server)
			server.Kill() // now its journal is complete
			if server.Count("POST") != 1 {
				t.Errorf("%d creations", server.Count("POST"))
			}
			// The client resends exactly the bytes that are not on disk.
			if res.Stats.Resent != sent-stored || res.Stats.Sent != size+res.Stats.Resent {
				t.Errorf("disk had %d of %d bytes sent; in all %d were sent, %d of them resent",
					stored, sent, res.Stats.Sent, res.Stats.Resent)
			}
			if test.chunk > 0 && res.Stats.Resent > test.chunk {
				t.Errorf("%d bytes were resent, more than a chunk", res.Stats.Resent)
			}
			patches := server.Of("PATCH")
			for i, p := range patches {
				if i > 0 && p.Offset() < patches[i-1].Offset() {
					t.Errorf("PATCH at %d after one at %d", p.Offset(), patches[i-1].Offset())
				}
			}
			if heads := server.Of("HEAD"); len(heads) != 1 {
				t.Errorf("%d HEADs reached the new server", len(heads))
			}
		})
	}
}

func TestResume_AfterUploaderKilled(t *testing.T) {
	t.Parallel()
	for _, chunk := range []int64{0, 4 * mib} {
		t.Run(fmt.Sprintf("chunk %d", chunk), func(t *testing.T) {
			t.Parallel()
			const size, at = 40 * mib, 15 * mib
			server := tusdtest.Start(t, nil)
			f := newFile(t, size)
			ctx := testContext(t)
			first := crash.Start(t, crash.Config{
				Endpoint: server.Endpoint(), File: f.path, ChunkSize: chunk, HoldAt: at,
			})
			if err := first.Held(ctx); err != nil {
				t.Fatal(err)
			}
			first.Kill()
			second := crash.Start(t, crash.Config{
				Endpoint: server.Endpoint(), File: f.path, ChunkSize: chunk, URL: first.URL(),
			})
			res, err := second.Result(ctx)
			if err != nil || res.Error != "" {
				t.Fatal(err, res.Error)
			}
			wantStored(t, server, res.URL, f)
			wantNoLeftovers(t, server)
			wantContiguousPatches(t, &server.Journal, f)
			if res.URL != first.URL() || server.Count("POST") != 1 {
				t.Errorf("%d creations, %s became %s", server.Count("POST"), first.URL(), res.URL)
			}
			const slice = 32 << 10 // what may leave beyond the limit of the brake
			if got := res.Stats; got.ResumedFrom == 0 || got.ResumedFrom > at+slice || got.ResumedFrom+got.Sent != size || got.Resent != 0 {
				t.Errorf("stats are %+v", got)
			}
		})
	}
}
