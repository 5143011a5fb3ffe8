//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Without a resume database, files are uploaded and cannot be resumed.
func TestState_FullDiskWarnsOnce(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, data := randomFile(t, 1000)
	other, _ := randomFile(t, 2000)
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("NOTICE: bash is missing: a full disk is not tested")
	}
	for name, args := range map[string][]string{"default": nil, "--state": {"--state", filepath.Join(t.TempDir(), "uploads.db")}} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, append(args, "--endpoint", srv.Endpoint(), "--json", path, other)...)
			cmd.Args = append([]string{"bash", "-c", `ulimit -f 8; exec "$0" "$@"`}, append([]string{binary}, cmd.Args[1:]...)...)
			cmd.Path = bash
			got := finish(t, cmd)
			files, totals := decodeAll(t, got.stdout)
			if got.code != exitOK || totals.Uploaded != 2 || strings.Count(got.stderr, "resume database") != 1 {
				t.Fatalf("outcome is %+v", got)
			}
			for _, f := range files {
				if f.File == path {
					wantStored(t, srv, f.URL, data)
				}
			}
		})
	}
}
