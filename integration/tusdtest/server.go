// Package tusdtest runs the real tusd v2 for tests: in the process of the test
// ([Start], [StartTLS]), or in a child process that can be killed and restarted
// ([StartProcess]).
package tusdtest

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog"
)

const basePath = "/files/"

// Options configures a tusd in the process of the test. The zero value has no
// limits.
type Options struct {
	// MaxSize is the largest upload in bytes; 0 means no limit.
	MaxSize int64
	// Locker replaces the in-memory locker.
	Locker handler.Locker
	// Configure, if non-nil, may change the configuration of tusd.
	Configure func(*handler.Config)
	// Wrap, if non-nil, wraps tusd. The journal is outside of it.
	Wrap func(http.Handler) http.Handler
}

// Server is a tusd in the process of the test.
type Server struct {
	Store
	Journal
	http *httptest.Server
}

// Start runs a tusd on a loopback port until the end of the test. opts may be nil.
func Start(t testing.TB, opts *Options) *Server {
	t.Helper()
	s := prepare(t, opts)
	s.http.Start()
	return s
}

// StartTLS is [Start] with TLS, HTTP/1.1 and HTTP/2. Clients must trust
// [Server.RootCAs].
func StartTLS(t testing.TB, opts *Options) *Server {
	t.Helper()
	s := prepare(t, opts)
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	return s
}

func prepare(t testing.TB, opts *Options) *Server {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{Store: Store{t.TempDir()}}
	locker := opts.Locker
	if locker == nil {
		locker = memorylocker.New()
	}
	config := newConfig(s.dir, delayedLocker{locker})
	config.MaxSize = opts.MaxSize
	if opts.Configure != nil {
		opts.Configure(&config)
	}
	tusd, err := newHandler(config)
	if err != nil {
		t.Fatal(err)
	}
	if opts.Wrap != nil {
		tusd = opts.Wrap(tusd)
	}
	s.http = httptest.NewUnstartedServer(s.record(signalBodies(tusd)))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(func() {
		s.http.CloseClientConnections() // some tests leave requests hanging
		s.http.Close()
	})
	return s
}

// Endpoint returns the upload creation URL.
func (s *Server) Endpoint() string { return s.http.URL + basePath }

// Addr returns host and port.
func (s *Server) Addr() string { return s.http.Listener.Addr().String() }

// RootCAs returns the certificate that clients of a [StartTLS] server must trust.
func (s *Server) RootCAs() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.http.Certificate())
	return pool
}

// newConfig returns the configuration of a tusd that stores uploads in dir.
func newConfig(dir string, locker handler.Locker) handler.Config {
	composer := handler.NewStoreComposer()
	filestore.New(dir).UseIn(composer)
	composer.UseLocker(locker)
	return handler.Config{
		StoreComposer: composer,
		BasePath:      basePath,
		Logger:        slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1})),
		// tusd keeps a goroutine for this long after each request, which goleak
		// would report.
		GracefulRequestCompletionTimeout: 50 * time.Millisecond,
	}
}

func newHandler(config handler.Config) (http.Handler, error) {
	tusd, err := handler.NewHandler(config)
	if err != nil {
		return nil, err
	}
	return http.StripPrefix(basePath, tusd), nil
}

// FileLocker returns tusd's file locker in dir. Its locks survive a kill of tusd.
// It polls more often than by default, to keep tests short.
func FileLocker(dir string) handler.Locker {
	return filelocker.FileLocker{
		Path:                 dir,
		HolderPollInterval:   20 * time.Millisecond,
		AcquirerPollInterval: 20 * time.Millisecond,
	}
}
