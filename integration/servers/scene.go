//go:build unix

package servers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const mib = 1 << 20

// source is a file with random bytes.
type source struct {
	path string
	size int64
	hash string
}

// file returns the source of the scene, of size bytes, with a name that no other scene has: some servers store
// uploads by name.
func (s *scene) file(size int64) (source, error) {
	from, ok := s.sources[size]
	if !ok {
		var err error
		if from, err = newSource(filepath.Join(s.Trial.dir, fmt.Sprint(size)), size); err != nil {
			return source{}, err
		}
		s.sources[size] = from
	}
	from.path = filepath.Join(s.dir, s.name())
	return from, os.Link(filepath.Join(s.Trial.dir, fmt.Sprint(size)), from.path)
}

// name is the name of the file of the scene.
func (s *scene) name() string { return filepath.Base(s.dir) + ".bin" }

func newSource(path string, size int64) (source, error) {
	f, err := os.Create(path)
	if err != nil {
		return source{}, err
	}
	hash := sha256.New()
	noise := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)})
	_, err = io.CopyN(io.MultiWriter(f, hash), noise, size)
	return source{path, size, hex.EncodeToString(hash.Sum(nil))}, errors.Join(err, f.Close())
}

// stored returns an error unless the server holds exactly f for an upload URL.
func (s *scene) stored(ctx context.Context, uploadURL string, f source) error {
	content, err := s.Content(ctx, uploadURL)
	if err != nil {
		return fmt.Errorf("content of %s: %w", uploadURL, err)
	}
	defer content.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, content)
	if err != nil {
		return fmt.Errorf("content of %s: %w", uploadURL, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != f.hash {
		return fmt.Errorf("the server holds %d bytes with hash %.8s for %s, the source has %d with %.8s", size, got, uploadURL, f.size, f.hash)
	}
	return nil
}

// output is what a command left behind.
type output struct {
	code   int
	stdout string
	stderr string
}

// result is an object that tusup upload --json prints.
type result struct {
	URL             string
	Size            int64
	Offset          int64
	BytesSent       int64 `json:"bytes_sent"`
	BytesResent     int64 `json:"bytes_resent"`
	ResumedFrom     int64 `json:"resumed_from"`
	AlreadyUploaded bool  `json:"already_uploaded"`
	Checksum        string
	Error           *struct {
		Status  int
		Message string
	}
}

// running is a started command.
type running struct {
	*Process
	scene  *scene
	stdout bytes.Buffer // to be read when the process has ended
	stderr lines
}

// start starts tusup in the directory of the scene. stdin may be nil.
func (s *scene) start(stdin *os.File, args ...string) (*running, error) {
	r := &running{scene: s}
	cmd := exec.Command(s.tusup, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_STATE_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir,
		"TUS_ENDPOINT=", "TUS_TOKEN=", "TUS_HEADERS=", "TUS_STATE=", "NO_PROXY=127.0.0.1")
	cmd.Stdout, cmd.Stderr = &r.stdout, &r.stderr
	if stdin != nil {
		cmd.Stdin = stdin
	}
	p, err := StartProcess(cmd)
	r.Process = p
	return r, err
}

// finish waits until the command has ended.
func (r *running) finish(ctx context.Context) (output, error) {
	code, err := r.Wait(ctx)
	if err != nil {
		err = errors.Join(err, r.Kill())
	}
	r.scene.record(r.stderr.String())
	return output{code, r.stdout.String(), r.stderr.String()}, err
}

// kill ends the command without warning.
func (r *running) kill() error {
	err := r.Kill()
	r.scene.record(r.stderr.String())
	return err
}

// request is a line of tusup -v, and elapsed what differs between two runs of it.
var (
	request = regexp.MustCompile(`^tusup: ((?:OPTIONS|POST|HEAD|PATCH|DELETE|GET) .*)$`)
	elapsed = regexp.MustCompile(`, [0-9][0-9.msµh]*s\b`)
)

func (s *scene) record(stderr string) {
	for line := range strings.Lines(stderr) {
		if found := request.FindStringSubmatch(strings.TrimSpace(line)); found != nil {
			s.exchange = append(s.exchange, elapsed.ReplaceAllString(found[1], ""))
		}
	}
}

// command runs tusup to its end.
func (s *scene) command(ctx context.Context, stdin *os.File, args ...string) (output, error) {
	r, err := s.start(stdin, args...)
	if err != nil {
		return output{}, err
	}
	return r.finish(ctx)
}

// uploadArgs are the arguments of an upload of a path, or of standard input.
func (s *scene) uploadArgs(path string, flags ...string) []string {
	args := s.resumeArgs(path, flags...)
	for at, flag := range s.Flags {
		if flag == "--metadata" {
			args = append(args, flag, s.Flags[at+1])
		}
	}
	return args
}

// resumeArgs are uploadArgs without the metadata, which only a creation has.
func (s *scene) resumeArgs(path string, flags ...string) []string {
	args := slices.Concat([]string{"upload", path, "--json"}, s.serverFlags(), flags)
	if s.ChunkSize > 0 && !slices.Contains(flags, "--chunk-size") {
		args = append(args, "--chunk-size", fmt.Sprint(s.ChunkSize))
	}
	for at := 0; at < len(s.Flags); at++ {
		if s.Flags[at] == "--metadata" {
			at++
			continue
		}
		args = append(args, s.Flags[at])
	}
	return args
}

// upload runs tusup upload to its end, and checks what the server holds then.
func (s *scene) upload(ctx context.Context, f source, flags ...string) (result, error) {
	got, err := s.command(ctx, nil, s.uploadArgs(f.path, flags...)...)
	if err != nil {
		return result{}, err
	}
	return s.check(ctx, got, f)
}

// check returns an error unless the output is that of a complete upload of f, which the server
// holds.
func (s *scene) check(ctx context.Context, got output, f source) (result, error) {
	r, err := parse(got)
	if err != nil {
		return r, err
	}
	if r.Offset != f.size {
		return r, fmt.Errorf("tusup printed offset %d for %d bytes", r.Offset, f.size)
	}
	return r, s.stored(ctx, r.URL, f)
}

// parse returns the first result of an upload, and an error if it failed.
func parse(got output) (result, error) {
	var r result
	first, _, _ := strings.Cut(got.stdout, "\n")
	if err := json.Unmarshal([]byte(first), &r); err != nil || got.code != 0 {
		message := lastLine(got.stderr)
		if r.Error != nil {
			message = r.Error.Message
		}
		return r, fmt.Errorf("tusup exited with %d: %s", got.code, message)
	}
	return r, nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// lines collects the output of a running command.
type lines struct {
	mu   sync.Mutex
	data []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = append(l.data, p...)
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.data)
}

// created waits until the command has created its upload, and d more for bytes to pass. It
// returns an error if the command ends before.
func (r *running) created(ctx context.Context, d time.Duration) error {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !strings.Contains(r.stderr.String(), "tusup: POST ") {
		select {
		case <-r.Done():
			return fmt.Errorf("tusup ended before it was interrupted: %s", lastLine(r.stderr.String()))
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
	select {
	case <-r.Done():
		return fmt.Errorf("tusup ended before it was interrupted: %s", lastLine(r.stderr.String()))
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
