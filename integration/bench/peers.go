package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed-175555ba/tus-go/integration/npm"
)

//go:embed curl.sh
var curlScript string

//go:embed tusjs.cjs
var tusJSScript string

const tusJSVersion = "4.3.1"

// peers returns the other clients that are installed, and notes about them. It
// writes their scripts to dir.
func peers(ctx context.Context, dir string) (found []client, notes []string, err error) {
	for _, look := range []func(context.Context, string) (client, string, error){curl, tusJS} {
		c, note, err := look(ctx, dir)
		var missing *missingError
		switch {
		case errors.As(err, &missing):
			notes = append(notes, missing.Error())
		case err != nil:
			return nil, nil, err
		default:
			found, notes = append(found, c), append(notes, note)
		}
	}
	return found, notes, nil
}

// missingError is the reason why a client is omitted.
type missingError struct{ client, reason string }

func (e *missingError) Error() string { return fmt.Sprintf("%s is omitted: %s", e.client, e.reason) }

// curl returns a client that is a shell script with curl, which does not support
// tus.
func curl(ctx context.Context, dir string) (client, string, error) {
	for _, program := range []string{"curl", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			return client{}, "", &missingError{nameCurl, program + " is not installed"}
		}
	}
	version, err := exec.CommandContext(ctx, "curl", "--version").Output()
	if err != nil {
		return client{}, "", &missingError{nameCurl, err.Error()}
	}
	script := filepath.Join(dir, "curl.sh")
	if err := os.WriteFile(script, []byte(curlScript), 0o600); err != nil {
		return client{}, "", err
	}
	return client{
		name: nameCurl,
		// It cannot send a section of a file.
		can: func(w workload) bool { return w.chunk == 0 && !w.sha256 },
		command: func(t task) *exec.Cmd {
			return exec.Command("sh", script, t.Endpoint, t.File, number(t.Size), number(int64(t.Concurrency)))
		},
	}, "curl " + secondWord(version), nil
}

func secondWord(text []byte) string {
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return "(unknown version)"
	}
	return words[1]
}

// tusJS returns the reference client, under Node. It is installed into the user's
// cache directory.
func tusJS(ctx context.Context, dir string) (client, string, error) {
	pkg, err := npm.Install(ctx, nameTusJS, tusJSVersion)
	if err != nil {
		return client{}, "", &missingError{nameTusJS, err.Error()}
	}
	script := filepath.Join(dir, "tusjs.cjs")
	if err := os.WriteFile(script, []byte(tusJSScript), 0o600); err != nil {
		return client{}, "", err
	}
	version, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return client{}, "", &missingError{nameTusJS, err.Error()}
	}
	return client{
		name:    nameTusJS,
		can:     func(w workload) bool { return !w.sha1 && !w.sha256 },
		inParts: true,
		command: func(t task) *exec.Cmd { return pkg.Command(context.Background(), script, t.encode()) },
	}, fmt.Sprintf("tus-js-client %s on Node %s", tusJSVersion, strings.TrimSpace(string(version))), nil
}
