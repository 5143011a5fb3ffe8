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

// selfCommand returns a command that runs this program.
func selfCommand(ctx context.Context, args ...string) *exec.Cmd {
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

	mu        sync.Mutex // for a request and its response
	responses *bufio.Reader
}

// startServer starts a server process. The caller must call stop.
func startServer(c serverConfig) (*server, error) {
	encoded, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	s := &server{config: c, cmd: selfCommand(context.Background(), roleServe, string(encoded))}
	s.cmd.Stderr = os.Stderr
	if s.control, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.responses = bufio.NewReader(stdout)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	var r ready
	if err := s.readResponse(&r); err != nil {
		s.stop()
		return nil, fmt.Errorf("server did not start: %w", err)
	}
	s.endpoint = r.Endpoint
	return s, nil
}

func (s *server) readResponse(to any) error {
	line, err := s.responses.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// counts returns the counts of the server. It is safe for concurrent use.
func (s *server) counts() (counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c counts
	if _, err := io.WriteString(s.control, "\n"); err != nil {
		return c, err
	}
	err := s.readResponse(&c)
	return c, err
}

// stop stops the server and waits for its exit.
func (s *server) stop() {
	s.control.Close()
	const timeout = 5 * time.Second
	kill := time.AfterFunc(timeout, func() { s.cmd.Process.Kill() })
	defer kill.Stop()
	s.cmd.Wait()
}
