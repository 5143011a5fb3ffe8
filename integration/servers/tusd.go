//go:build unix

package servers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Tusd returns tusd with a store in files.
func Tusd() Server {
	return Server{
		Name:    "tusd, file store",
		Version: tusdTool().installed,
		Start: func(ctx context.Context, dir string) (*Running, error) {
			binary, err := tusdTool().install(ctx)
			if err != nil {
				return nil, err
			}
			return launcher(func(addr string) *exec.Cmd {
				return tusd(binary, addr, "-upload-dir", dir)
			}).start(ctx, "/files/", files(dir, same), nil)
		},
		Setup:   "Nothing; behind a proxy, start it with `-behind-proxy`.",
		Command: "tusd -upload-dir DIR -behind-proxy",
	}
}

// tusd returns the command of tusd 2 with more arguments.
func tusd(binary, addr string, args ...string) *exec.Cmd {
	host, port := hostPort(addr)
	return exec.Command(binary, append([]string{"-host", host, "-port", port, "-base-path", "/files/", "-behind-proxy"}, args...)...)
}

// otherTusd returns tusd with other stores, and an older one.
func otherTusd() []Server {
	return []Server{tusdS3(), tusdGCS(), tusdAzure(), {
		Name:    "tusd 1.13, file store",
		Version: oldTusdTool().installed,
		Start: func(ctx context.Context, dir string) (*Running, error) {
			binary, err := oldTusdTool().install(ctx)
			if err != nil {
				return nil, err
			}
			return launcher(func(addr string) *exec.Cmd {
				return tusd(binary, addr, "-upload-dir", dir)
			}).start(ctx, "/files/", files(dir, same), nil)
		},
		Setup:   "Nothing; behind a proxy, start it with `-behind-proxy`.",
		Command: "tusd -upload-dir DIR",
	}}
}

// tusdGCS returns tusd with objects in Google Cloud Storage.
func tusdGCS() Server {
	const bucket = "uploads"
	return Server{
		Name:    "tusd, GCS store",
		Version: on(tusdTool().installed, "fake-gcs-server", gcsTool().version),
		Start: func(ctx context.Context, dir string) (*Running, error) {
			binary, err := tusdTool().install(ctx)
			if err != nil {
				return nil, err
			}
			gcs, err := gcsTool().install(ctx)
			if err != nil {
				return nil, err
			}
			gcsAddr, err := FreeAddr()
			if err != nil {
				return nil, err
			}
			root := filepath.Join(dir, "gcs")
			if err := os.MkdirAll(filepath.Join(root, bucket), 0o700); err != nil {
				return nil, err
			}
			host, port := hostPort(gcsAddr)
			store, err := StartProcess(exec.Command(gcs, "-scheme", "http", "-host", host, "-port", port,
				"-backend", "filesystem", "-filesystem-root", root, "-public-host", gcsAddr))
			if err != nil {
				return nil, err
			}
			if err := store.WaitReady(ctx, gcsAddr); err != nil {
				return nil, errors.Join(err, store.Kill())
			}
			return launcher(func(addr string) *exec.Cmd {
				cmd := tusd(binary, addr, "-gcs-bucket", bucket)
				cmd.Env = append(os.Environ(), "STORAGE_EMULATOR_HOST="+gcsAddr, "GCS_SERVICE_ACCOUNT_FILE=")
				return cmd
			}).start(ctx, "/files/", files(filepath.Join(root, bucket), same), func() { _ = store.Kill() })
		},
		Setup:   "Nothing; standard input of unknown size requires `--buffer-limit`.",
		Command: "tusd -gcs-bucket BUCKET",
	}
}

// All returns all servers, in the order of the matrix.
func All() []Server {
	return slices.Concat([]Server{Tusd()}, otherTusd(), []Server{TusNode(), tusNodeS3()}, nodeServers(), scripts(), strictServers())
}

// TusdOf returns the tusd of the command tusup serve, for which nothing has to be installed.
func TusdOf(tusup string) Server {
	s := Tusd()
	s.Version = func() (string, error) { return tusdTool().version, nil }
	s.Start = func(ctx context.Context, dir string) (*Running, error) {
		return launcher(func(addr string) *exec.Cmd {
			return exec.Command(tusup, "serve", "--dir", dir, "--addr", addr)
		}).start(ctx, "/files/", files(dir, same), nil)
	}
	s.Command = "tusup serve --dir DIR"
	return s
}
