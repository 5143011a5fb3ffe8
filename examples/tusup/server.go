package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/exp/slog"

	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

// serveCommand runs a tusd in this process.
type serveCommand struct {
	Dir  string `help:"Directory for the uploads (default: ./uploads)." default:"uploads" placeholder:"DIR"`
	Addr string `help:"Address to listen on (default: 127.0.0.1:1080). Port 0 selects a free one." default:"127.0.0.1:1080" placeholder:"HOST:PORT"`
}

// Run serves until the process is interrupted.
func (s *serveCommand) Run(ctx context.Context, p *program, c *common) error {
	server, err := startServer(s.Dir, s.Addr, p, c.Verbose)
	if err != nil {
		return err
	}
	defer server.close()
	if c.JSON {
		err = report.Write(p.stdout, report.Serving{Endpoint: server.endpoint, Dir: server.dir})
	} else {
		_, err = fmt.Fprintf(p.stdout, "tusd at %s stores in %s\n", server.endpoint, server.dir)
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.failed:
		return err
	}
}

// server is a tusd in this process.
type server struct {
	endpoint string
	dir      string
	http     *http.Server
	failed   chan error
}

// startServer starts a tusd that stores each upload in dir, in a file with its ID as
// name and an .info file.
func startServer(dir, addr string, p *program, verbose bool) (*server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	composer := handler.NewStoreComposer()
	filestore.New(dir).UseIn(composer)
	filelocker.New(dir).UseIn(composer)
	var logs io.Writer = io.Discard
	if verbose {
		logs = aboveDisplay{p, p.stderr}
	}
	tusd, err := handler.NewHandler(handler.Config{
		BasePath:      "/files/",
		StoreComposer: composer,
		Logger:        slog.New(slog.NewTextHandler(logs, nil)),
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &server{
		endpoint: "http://" + listener.Addr().String() + "/files/",
		dir:      dir,
		http:     &http.Server{Handler: http.StripPrefix("/files/", tusd), ReadHeaderTimeout: time.Minute},
		failed:   make(chan error, 1),
	}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return s, nil
}

// close stops the server and cuts requests in flight; tusd stores their bytes.
func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// lastSegment returns the part after the last slash of a URL or path.
func lastSegment(s string) string {
	s = strings.TrimRight(s, `/\`)
	return s[strings.LastIndexAny(s, `/\`)+1:]
}
