// Command gateway takes a browser's form and streams the file in it into a tus
// server, without touching the disk. It is for pages that cannot speak tus, and
// for tus servers that browsers shall not reach.
//
//	TUS_ENDPOINT=http://127.0.0.1:1080/files/ gateway -addr 127.0.0.1:8080
//
// The file flows through two buffers of one chunk each. While both are full,
// nothing more is read from the browser, so a slow tus server slows the browser
// down instead of filling the memory, and so does one that is being restarted:
// the upload goes on when it is back. A browser that goes away in the middle
// leaves nothing behind: the length of the upload is declared with its last
// bytes, when the whole form has arrived, and before that it is deleted.
//
//	POST /uploads            a form with one file; its text fields, if they come
//	                         before the file, are stored as metadata
//	POST /uploads/ID         the same under an ID that the page made up: 16 to 64
//	                         letters, digits, "-" and "_" that nobody can guess
//	GET  /uploads/ID         how far it is
//	GET  /uploads/ID?wait=true
//	                         the same, but not before it ended, or half a minute
//	GET  /                   a page with a form and a bar
//	GET  /direct             a page that speaks tus by itself, with tus-js-client
//
// A browser has to send what comes before the file in ten seconds, and then 16 KiB in
// half a minute, whenever the tus server is not what it waits for; there is no limit on
// how long a form takes. One client, which is an IP address, may have a quarter of the
// uploads at the same time: behind a proxy, -client-header names the field in which the
// proxy tells the client, such as X-Real-IP.
//
// A form is answered with 202 and the URL of its status as soon as all of it
// arrived. Then the last chunks may still be on their way to the tus server, which
// may even have to be waited for; the status tells when it has confirmed all. A
// page that wants to see the status before the 202 makes up the ID.
//
// The gateway asks nobody who they are: whoever reaches it uploads with its token. In
// front of it belongs what your visitors log in to, with TLS. The ID of an upload is
// all that is needed to see its status and URL.
//
// It answers only requests for a host that it knows, so that no page of another site can
// give itself the gateway's address: by default the names of -addr, for an address of
// all interfaces any IP address, localhost and the name of the machine. Where browsers
// use another name, -host has it.
//
// The environment variables TUS_ENDPOINT, TUS_TOKEN and TUS_HEADERS say where the
// uploads go. tus-js-client is not part of this program: npm pack tus-js-client
// has it in dist/tus.min.js, and -tus-js tells where that file is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var pages pages
	var opts options
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	flags.Int64Var(&opts.maxBytes, "max-bytes", 0, "largest form in `bytes` (default 10 GiB)")
	flags.Int64Var(&opts.chunkSize, "chunk-size", 0, "`bytes` in one request to the tus server; each upload holds two of these (default 4 MiB)")
	flags.IntVar(&opts.maxActive, "max-active", 0, "uploads at the same time (default 16)")
	flags.IntVar(&opts.maxPerClient, "max-per-client", 0, "uploads of one client at the same time (default a quarter of -max-active)")
	flags.StringVar(&opts.clientHeader, "client-header", "", "`field` in which a proxy in front tells the client's address")
	hostList := flags.String("host", "", "`names` by which browsers reach the gateway, separated by commas, each with or without a port (default those of -addr)")
	flags.StringVar(&pages.tusJS, "tus-js", "", "`path` of tus-js-client's dist/tus.min.js, for the page /direct")
	flags.StringVar(&pages.endpoint, "public-endpoint", "", "`URL` by which browsers reach the tus server (default $TUS_ENDPOINT without its query)")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	client, err := tus.NewClientFromEnv(nil)
	if err != nil {
		return err
	}
	if pages.endpoint == "" {
		pages.endpoint = public(client.Endpoint())
	}
	opts.log = slog.Default()
	gateway := newGateway(client, opts)
	mux := http.NewServeMux()
	gateway.register(mux)
	if err := pages.register(mux); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("gateway at http://%s/ to %s\n", listener.Addr(), public(client.Endpoint()))
	return serve(ctx, listener, newHosts(*hostList, *addr, listener.Addr()).guard(mux), gateway)
}

// requestTimeout is how long a request may take from its head to its answer, other
// than a form, which has deadlines of its own. options.maxWait is shorter.
const requestTimeout = time.Minute

// serve serves until ctx ends, and then gives the uploads a while to finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, gateway *gateway) error {
	server := &http.Server{
		// A page of another site may send forms to us in the name of its visitor.
		Handler:           http.NewCrossOriginProtection().Handler(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout, // the answer may come after an unread body
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		gateway.shutdown(ctx)
		return err
	case <-ctx.Done():
	}
	const grace, curiosity = 20 * time.Second, 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if gateway.shutdown(ctx) {
		// Who was sending until now asks how it ended.
		asked, cancel := context.WithTimeout(ctx, curiosity)
		<-asked.Done()
		cancel()
	}
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}
