//go:build unix

package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// BuildTusup builds the command tusup of this checkout in dir and returns its path. It returns an
// error matching ErrNotInstalled if there is no Go command.
func BuildTusup(ctx context.Context, dir string) (string, error) {
	examples, err := examplesDir(ctx)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "tusup")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./tusup")
	cmd.Dir = examples
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return binary, nil
}

// examplesDir returns the directory of the module with tusup.
func examplesDir(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/seed-175555ba/tus-go").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("go is %w", ErrNotInstalled)
	}
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return filepath.Join(string(bytes.TrimSpace(root)), "examples"), nil
}

// Trial is a running server or proxy under test: a column of the matrix.
type Trial struct {
	*Running
	// Expiring is that of the [Server], nil behind a proxy.
	Expiring func(ctx context.Context, dir string) (*Running, error)
	// Scripted is that of the [Server].
	Scripted bool

	tusup   string
	dir     string
	caps    capabilities
	sources map[int64]source // by size
}

// capabilities is the output of tusup capabilities.
type capabilities struct {
	Extensions []string
	Checksums  []string `json:"checksum_algorithms"`
}

// prepare reads the capabilities of the server with the command tusup. The files of the trial are
// created in dir.
func (t *Trial) prepare(ctx context.Context, tusup, dir string) error {
	t.tusup, t.dir, t.sources = tusup, dir, map[int64]source{}
	s, err := t.scene()
	if err != nil {
		return err
	}
	got, err := s.command(ctx, nil, slices.Concat([]string{"capabilities", "--json"}, t.serverFlags())...)
	if err != nil {
		return err
	}
	// A server without OPTIONS leaves the capabilities empty.
	_ = json.Unmarshal([]byte(got.stdout), &t.caps)
	return nil
}

// serverFlags are the flags of each command that sends requests.
func (t *Trial) serverFlags() []string {
	// With the default of 8 retries, a situation that fails takes a minute.
	flags := []string{"-v", "--endpoint", t.Endpoint, "--retries", "3"}
	if t.CAFile != "" {
		flags = append(flags, "--ca", t.CAFile)
	}
	for _, header := range t.Headers {
		flags = append(flags, "--header", header)
	}
	return flags
}

// scene is one situation of a trial, with its own files and resume database.
type scene struct {
	*Trial
	dir      string
	exchange []string // the requests of all commands, as tusup -v logs them
}

func (t *Trial) scene() (*scene, error) {
	dir, err := os.MkdirTemp(t.dir, "scene")
	return &scene{Trial: t, dir: dir}, err
}

// Status is the result of a situation.
type Status string

// The results of a situation.
const (
	Passed        Status = "ok"
	Failed        Status = "failed"
	NotApplicable Status = "not applicable"
)

// Outcome is a cell of the matrix.
type Outcome struct {
	Status Status `json:"status"`
	// Reason is why the situation failed or does not apply.
	Reason string `json:"reason,omitempty"`
	// Explanation is the known reason of a failure, which is the server's.
	Explanation string `json:"explanation,omitempty"`
	// Exchange are the last requests of a situation that failed, with the responses.
	Exchange []string `json:"exchange,omitempty"`
}

// notApplicable is the error of a situation that the server makes impossible.
type notApplicable struct{ reason string }

func (n notApplicable) Error() string { return n.reason }

// limits of a situation: the time, and the requests in a note.
const (
	situationTimeout = 60 * time.Second
	exchangeLines    = 6
)

// Try runs a situation.
func (t *Trial) Try(ctx context.Context, situation Situation) Outcome {
	ctx, cancel := context.WithTimeout(ctx, situationTimeout)
	defer cancel()
	s, err := t.scene()
	if err == nil {
		if situation.Large && t.Scripted {
			err = notApplicable{"the script keeps uploads in memory"}
		} else {
			err = situation.run(ctx, s)
		}
		_ = os.RemoveAll(s.dir) // a leftover only takes space
	}
	o := Outcome{Status: Passed}
	var skipped notApplicable
	switch {
	case err == nil:
	case errors.As(err, &skipped):
		o.Status, o.Reason = NotApplicable, skipped.reason
	default:
		o.Status, o.Reason = Failed, t.anonymous(err.Error())
		for _, line := range s.exchange[max(0, len(s.exchange)-exchangeLines):] {
			o.Exchange = append(o.Exchange, t.anonymous(line))
		}
	}
	return o
}

// The parts of a text that differ between two runs.
var (
	uploadPath = regexp.MustCompile(`/files/[^\s:",?]+`)
	recordID   = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	timestamp  = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
)

// anonymous removes what differs between two runs: host, port, temporary directories and IDs.
func (t *Trial) anonymous(text string) string {
	scheme, rest, _ := strings.Cut(t.Endpoint, "://")
	host, _, _ := strings.Cut(rest, "/")
	text = strings.ReplaceAll(text, scheme+"://"+host, "")
	text = strings.ReplaceAll(text, host, "HOST")
	text = strings.ReplaceAll(text, t.dir, "")
	text = uploadPath.ReplaceAllString(text, "/files/ID")
	text = recordID.ReplaceAllString(text, "ID")
	return timestamp.ReplaceAllString(text, "TIME")
}

// requires returns an error if the server does not advertise an extension.
func (s *scene) requires(extensions ...string) error {
	for _, e := range extensions {
		if !slices.Contains(s.caps.Extensions, e) {
			return notApplicable{"the server does not advertise " + e}
		}
	}
	return nil
}
