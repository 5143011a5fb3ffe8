package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// copyOfThis is a further copy of this program, to be started.
func copyOfThis(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	cmd := exec.CommandContext(ctx, self, args...)
	if err != nil {
		cmd.Err = err
	}
	return cmd
}

// server is a running server process.
type server struct {
	endpoint string
	config   serverConfig
	cmd      *exec.Cmd
	control  io.WriteCloser

	asking  sync.Mutex
	answers *bufio.Reader
}

// startServer starts a further copy of this program. Stop it.
func startServer(c serverConfig) (*server, error) {
	encoded, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	s := &server{config: c, cmd: copyOfThis(context.Background(), roleServe, string(encoded))}
	s.cmd.Stderr = os.Stderr
	if s.control, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.answers = bufio.NewReader(stdout)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	var r ready
	if err := s.answer(&r); err != nil {
		s.stop()
		return nil, fmt.Errorf("server did not start: %w", err)
	}
	s.endpoint = r.Endpoint
	return s, nil
}

func (s *server) answer(to any) error {
	line, err := s.answers.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// counts asks what has reached the server so far. It may be called from any
// goroutine.
func (s *server) counts() (counts, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	var c counts
	if _, err := io.WriteString(s.control, "\n"); err != nil {
		return c, err
	}
	err := s.answer(&c)
	return c, err
}

// stop ends the server, and returns when it is gone.
func (s *server) stop() {
	s.control.Close()
	const patience = 5 * time.Second
	late := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	s.cmd.Wait()
}
