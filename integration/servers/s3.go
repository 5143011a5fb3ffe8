//go:build unix

package servers

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// s3Config is the configuration of a client of the S3 server.
type s3Config struct{ Endpoint, Bucket, Key, Secret string }

// s3Server is versitygw, which stores each object in a file.
type s3Server struct {
	s3Config
	dir     string // of the bucket
	process *Process
}

// startS3 starts versitygw with an empty bucket below dir.
func startS3(ctx context.Context, dir string) (*s3Server, error) {
	binary, err := s3Tool().install(ctx)
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	s := &s3Server{s3Config: s3Config{"http://" + addr, "uploads", "key-of-tests", "secret-of-tests"}}
	root := filepath.Join(dir, "s3")
	s.dir = filepath.Join(root, s.Bucket)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "--port", addr, "--access", s.Key, "--secret", s.Secret, "--quiet", "posix", root)
	if s.process, err = StartProcess(cmd); err != nil {
		return nil, err
	}
	if err := s.process.WaitReady(ctx, addr); err != nil {
		return nil, errors.Join(err, s.process.Kill())
	}
	return s, nil
}

// stop ends the S3 server.
func (s *s3Server) stop() { _ = s.process.Kill() } // it has ended already

// tusdS3 returns tusd with objects in S3.
func tusdS3() Server {
	return Server{
		Name:    "tusd, S3 store",
		Version: on(tusdTool().installed, "versitygw", s3Tool().version),
		Start: func(ctx context.Context, dir string) (*Running, error) {
			binary, err := tusdTool().install(ctx)
			if err != nil {
				return nil, err
			}
			s, err := startS3(ctx, dir)
			if err != nil {
				return nil, err
			}
			return launcher(func(addr string) *exec.Cmd {
				cmd := tusd(binary, addr, "-s3-bucket", s.Bucket, "-s3-endpoint", s.Endpoint)
				cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+s.Key, "AWS_SECRET_ACCESS_KEY="+s.Secret, "AWS_REGION=us-east-1")
				return cmd
			}).start(ctx, "/files/", files(s.dir, objectOfTusd), s.stop)
		},
		Setup:   "Nothing.",
		Command: "tusd -s3-bucket BUCKET -s3-endpoint URL",
	}
}

// objectOfTusd returns the name of the object of an upload: what precedes the ID of its
// multipart upload.
func objectOfTusd(id string) string {
	if plain, err := url.PathUnescape(id); err == nil {
		id = plain
	}
	for at, c := range id {
		if c == '+' {
			return id[:at]
		}
	}
	return id
}

// tusNodeS3 returns @tus/server with objects in S3.
func tusNodeS3() Server {
	return Server{
		Name:    "@tus/server, S3 store",
		Version: on(tusNode().installed, "versitygw", s3Tool().version),
		Start: func(ctx context.Context, dir string) (*Running, error) {
			s, err := startS3(ctx, dir)
			if err != nil {
				return nil, err
			}
			l, err := tusNode().start(ctx, dir, nodeConfig{S3: &s.s3Config})
			if err != nil {
				s.stop()
				return nil, err
			}
			return l.start(ctx, "/files/", files(s.dir, same), s.stop)
		},
		Setup:   "Nothing; `--method-override` does not work, and a complete upload cannot be deleted.",
		Command: "new Server({path: '/files', datastore: new S3Store({s3ClientConfig})}).listen()",
	}
}
