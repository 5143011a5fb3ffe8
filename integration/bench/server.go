package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog"

	"github.com/seed-175555ba/tus-go/integration/netfault"
)

const basePath = "/files/"

// serverConfig is the configuration of a server process.
type serverConfig struct {
	// Store is the directory of a tusd; empty for the sink.
	Store string `json:",omitempty"`
	// File, if not empty, makes the sink advertise sha1 and require the correct
	// checksum for each Chunk bytes of that file.
	File  string `json:",omitempty"`
	Chunk int64  `json:",omitempty"`
	Link  link
}

// ready is the first message of a server.
type ready struct{ Endpoint string }

// counts are the totals of a server since its start.
type counts struct {
	Requests int64
	Bytes    int64 // of bodies; with a proxy, all bytes that it forwarded
}

// serve is the server process. It writes its endpoint, then the counts for each
// line of control, and ends with control.
func serve(c serverConfig, control io.Reader, responses io.Writer) error {
	h, err := newHandler(c)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if c.Store == "" {
		listener = discarding(listener)
	}
	var count counter
	server := &http.Server{Handler: count.wrap(h), ErrorLog: log.New(io.Discard, "", 0)}
	defer server.Close()
	go server.Serve(listener) // until Close

	addr := listener.Addr().String()
	now := count.now
	if c.Link != (link{}) {
		proxy := netfault.New(processTB{}, addr)
		defer proxy.Close()
		proxy.Always(plan(c.Link))
		addr = proxy.Addr()
		now = func() counts { return counts{count.now().Requests, proxy.Moved(netfault.Up)} }
	}
	encoder := json.NewEncoder(responses)
	if err := encoder.Encode(ready{"http://" + addr + basePath}); err != nil {
		return err
	}
	lines := bufio.NewScanner(control)
	for lines.Scan() {
		if err := encoder.Encode(now()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func plan(l link) netfault.Plan {
	p := netfault.Plan{Shape: netfault.Shape{RoundTrip: l.RoundTrip, Rate: l.Rate}}
	if l.CutEvery > 0 {
		p.Faults = []netfault.Fault{{In: netfault.Up, After: l.CutEvery, Do: netfault.Close}}
	}
	return p
}

// processTB is a testing.TB for netfault that lives as long as the process.
type processTB struct{ testing.TB }

func (processTB) Helper()           {}
func (processTB) Cleanup(func())    {}
func (processTB) Fatal(args ...any) { log.Fatal(args...) }

func newHandler(c serverConfig) (http.Handler, error) {
	if c.Store == "" {
		return newSink(c.File, c.Chunk)
	}
	composer := handler.NewStoreComposer()
	filestore.New(c.Store).UseIn(composer)
	memorylocker.New().UseIn(composer)
	tusd, err := handler.NewHandler(handler.Config{
		StoreComposer: composer,
		BasePath:      basePath,
		Logger:        slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1})),
	})
	if err != nil {
		return nil, err
	}
	return http.StripPrefix(basePath, tusd), nil
}

// counter counts requests and the bytes of their bodies.
type counter struct{ requests, bytes atomic.Int64 }

func (c *counter) now() counts { return counts{c.requests.Load(), c.bytes.Load()} }

// wrap calls next with a copy of the request. The original keeps its body: net/http
// looks at the type of the body to close an unread one.
func (c *counter) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		r = r.WithContext(r.Context())
		r.Body = countedBody{r.Body, &c.bytes}
		next.ServeHTTP(w, r)
	})
}

type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}
