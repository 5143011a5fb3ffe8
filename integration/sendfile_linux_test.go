package integration_test

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/crash"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
)

func TestUpload_KernelSendsFile(t *testing.T) {
	// The kernel kills the uploader if it writes a block of the file from its
	// memory.
	for name, chunk := range map[string]int64{"whole": 0, "chunks": 3 * mib, "one request": 8 * mib} {
		size := int64(20*mib + 1)
		if name == "one request" {
			size = chunk
		}
		t.Run(name, func(t *testing.T) {
			server := tusdtest.Start(t, nil)
			f := newFile(t, size)
			res, err := crash.Start(t, crash.Config{
				Endpoint: server.Endpoint(), File: f.path, ChunkSize: chunk, KernelOnly: true,
			}).Result(testContext(t))
			if err != nil || res.Error != "" {
				t.Fatal(err, res.Error)
			}
			wantStored(t, server, res.URL, f)
			if res.Stats.Retries > 0 || res.Stats.Resent > 0 {
				t.Errorf("stats are %+v", res.Stats)
			}
		})
	}
	t.Run("copying uploader is killed", func(t *testing.T) {
		server := tusdtest.Start(t, nil)
		_, err := crash.Start(t, crash.Config{
			Endpoint: server.Endpoint(), File: newFile(t, 20*mib).path, KernelOnly: true, NoKernel: true,
		}).Result(testContext(t))
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGSYS {
			t.Errorf("copying uploader ended with %v", err)
		}
	})
}
