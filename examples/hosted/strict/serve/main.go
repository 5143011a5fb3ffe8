// Command serve runs a server of package strict until it is interrupted:
//
//	go run ./hosted/strict/serve supabase
//
// It prints one JSON object with the URLs of two loopback ports: the endpoint, and the one at
// which the bytes of an upload can be read by its ID.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	services := map[string]strict.Rules{
		"bunny-stream":      strict.BunnyStream(),
		"cloudflare-stream": strict.CloudflareStream(),
		"ocis":              strict.OCIS(),
		"supabase":          strict.Supabase(),
		"transloadit":       strict.Transloadit(),
	}
	var names []string
	for name := range services {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(args) != 1 || !slices.Contains(names, args[0]) {
		return fmt.Errorf("the argument is not one of %s", strings.Join(names, ", "))
	}
	lifetime := &scope{}
	defer lifetime.end()
	server := strict.NewServer(lifetime, services[args[0]])
	contents := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/")
		upload, ok := server.Upload(id)
		if all := server.Uploads(); id == "." && len(all) > 0 { // the newest
			upload, ok = all[len(all)-1], true
		}
		if !ok || upload.Terminated {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(upload.Data) // fails only if the reader has left
	}))
	defer contents.Close()
	err := json.NewEncoder(os.Stdout).Encode(map[string]string{"endpoint": server.Endpoint(), "content": contents.URL + "/"})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// scope ends what a server registered for the end of a test.
type scope struct{ cleanups []func() }

func (s *scope) Helper() {}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}
