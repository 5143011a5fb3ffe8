package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestRefused_PolicyDecidesWhetherToStartOver(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1_000_000)
	args := []string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "uploads.db"), "--chunk-size", "100KB", path}
	interrupted(t, srv, command(t, args...))
	srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.Respond(400, "")})

	got := tusup(t, args...)
	if got.code != exitFailed || !strings.Contains(got.stderr, "stored upload of ") || !strings.Contains(got.stderr, "tusup forget ") || strings.Contains(got.stderr, "UploadOptions") {
		t.Errorf("without the flag: %+v", got)
	}
	got = tusup(t, append(args, "--refused", "start-over")...)
	if got.code != exitOK || !strings.Contains(got.stderr, "refuses to show its stored upload of ") || !strings.Contains(got.stdout, ", started over (stored uploads not resumed: 1)") {
		t.Errorf("with the flag: %+v", got)
	}
	uploads := srv.Uploads()
	wantStored(t, srv, uploads[len(uploads)-1].ID, data)
}

func TestError_BodyLimitNamesFlag(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: tustest.Respond(413, "", "Server", "nginx")})
	path, _ := randomFile(t, 3_000_000)
	got := tusup(t, "--endpoint", srv.Endpoint(), "--no-state", "--chunk-size", "2MB", path)
	for _, want := range []string{`Server "nginx"`, "request body of 2000000 bytes", "--chunk-size", "--min-chunk-size"} {
		if got.code != exitFailed || !strings.Contains(got.stderr, want) {
			t.Errorf("no %s in %+v", want, got)
		}
	}
}
