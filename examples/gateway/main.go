// Command gateway receives HTML forms and streams their files into a tus server,
// without storing them on disk. It is for pages without a tus client, and for tus servers
// that browsers cannot reach.
//
//	TUS_ENDPOINT=http://127.0.0.1:1080/files/ go run ./gateway -addr 127.0.0.1:8080
//
// An upload uses two buffers of one chunk each. While both are full, the gateway does not
// read from the browser: a slow or restarting tus server slows the browser down, and does
// not fill the memory. The length of an upload is sent with its last bytes, when the whole
// form has arrived. If the browser disconnects before, the gateway deletes the upload.
//
//	POST /uploads            a form with one file; text fields before the file are
//	                         stored as metadata
//	POST /uploads/ID         the same with an ID that the page chooses: 16 to 64 letters,
//	                         digits, "-" and "_", hard to guess
//	GET  /uploads/ID         the status of the upload
//	GET  /uploads/ID?wait=true
//	                         the same, after the upload has ended or 30 seconds have
//	                         passed
//	GET  /                   a page with a form and a progress bar
//	GET  /direct             a page with a tus client, tus-js-client
//
// When the whole form has arrived, the response is 202 with the URL of the status. The last
// chunks may still be in flight to the tus server, which may even be restarting: the status
// is complete when the tus server has acknowledged all bytes. A page that needs the status
// before the 202 chooses the ID.
//
// A browser must send the part of a form before the file within 10 seconds, and then at
// least 16 KiB per 30 seconds; time in which the tus server is slow does not count. There
// is no limit on the total time. One client, identified by its IP address, may have a
// quarter of the uploads at the same time. Behind a proxy, -client-header is the field with
// the client's address, such as X-Real-IP.
//
// The gateway does not authenticate: it uploads every form with its own token. Run it
// behind a login and TLS. The ID of an upload gives access to its status and URL.
//
// Against DNS rebinding, the gateway only accepts requests for known hosts. By default
// these are the names of -addr; if it listens on all interfaces, any IP address, localhost
// and the name of the machine. Set -host if browsers use another name.
//
// The environment variables TUS_ENDPOINT, TUS_TOKEN and TUS_HEADERS configure the tus
// server. tus-js-client is not part of this program: npm install tus-js-client downloads
// it, and -tus-js is the path of its dist/tus.min.js.
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
	flags.Int64Var(&opts.chunkSize, "chunk-size", 0, "`bytes` per request to the tus server; each upload has two buffers of this size (default 4 MiB)")
	flags.IntVar(&opts.maxActive, "max-active", 0, "maximum `number` of uploads at the same time (default 16)")
	flags.IntVar(&opts.maxPerClient, "max-per-client", 0, "maximum `number` of uploads of one client at the same time (default a quarter of -max-active)")
	flags.StringVar(&opts.clientHeader, "client-header", "", "header `field` of a proxy with the client's address")
	hostList := flags.String("host", "", "comma-separated host `names` of the gateway in browsers, with or without port (default those of -addr)")
	flags.StringVar(&pages.tusJS, "tus-js", "", "`path` of tus-js-client's dist/tus.min.js, for the page /direct")
	flags.StringVar(&pages.endpoint, "public-endpoint", "", "`URL` of the tus server in browsers (default $TUS_ENDPOINT without its query)")
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

// requestTimeout is the timeout of a request, except for forms, which have their own
// deadlines. options.maxWait must be shorter.
const requestTimeout = time.Minute

// serve serves until ctx ends, and then waits a limited time for the uploads.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, gateway *gateway) error {
	server := &http.Server{
		// Pages of other sites must not send forms with the credentials of a visitor.
		Handler:           http.NewCrossOriginProtection().Handler(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout, // the response may follow an unread body
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
	const uploadTimeout, statusTimeout = 20 * time.Second, 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), uploadTimeout)
	defer cancel()
	if gateway.shutdown(ctx) {
		// The pages of the last uploads request their status.
		statusCtx, cancel := context.WithTimeout(ctx, statusTimeout)
		<-statusCtx.Done()
		cancel()
	}
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}
