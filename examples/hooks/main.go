// Command hooks receives the HTTP hooks of a tusd, and signed webhooks of other
// services.
//
//	HOOKS_KEY=… HOOKS_SECRETS=new,old HOOKS_TOKENS=alice,bob go run ./hooks -addr 127.0.0.1:8000
//	tusd -hooks-http "http://tusd:$HOOKS_KEY@127.0.0.1:8000/tusd"
//
// POST /tusd decides which uploads tusd accepts: those with the token of a user and a
// filename that are not too large. The hook "post-finish" reports complete uploads.
// tusd does not sign its hooks, so it authenticates with a key, by basic
// authentication.
//
// POST /webhook accepts calls with a header such as
//
//	Webhook-Signature: t=1767225600,v1=5f8a…
//
// where v1 is the HMAC-SHA256, in hexadecimal, of the Unix time t, a dot and the
// body, with a secret shared by sender and receiver. Stripe and many other services
// use this form. A call is valid if one v1 in it was made with one of the secrets, if
// t is at most five minutes off, and if it is not a replay.
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
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hooks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("hooks", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8000", "`host:port` to listen on")
	maxSize := flags.Int64("max-size", 10<<30, "largest upload in `bytes`")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	handler, err := newHandler(os.Getenv, *maxSize, slog.Default())
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("hooks at http://%s/tusd and /webhook\n", listener.Addr())
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		server.Shutdown(ctx)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newHandler returns a handler for both receivers. Secrets come from the environment:
// a process list shows command lines.
func newHandler(getenv func(string) string, maxSize int64, log *slog.Logger) (http.Handler, error) {
	list := func(name string) []string {
		return strings.FieldsFunc(getenv(name), func(r rune) bool { return r == ',' })
	}
	key, secrets, tokens := getenv("HOOKS_KEY"), list("HOOKS_SECRETS"), list("HOOKS_TOKENS")
	if key == "" || len(secrets) == 0 || len(tokens) == 0 {
		return nil, errors.New("HOOKS_KEY, HOOKS_SECRETS and HOOKS_TOKENS must be set")
	}
	mux := http.NewServeMux()
	mux.Handle("POST /tusd", &tusdHooks{
		key:   key,
		rules: rules{maxSize: maxSize, tokens: tokens},
		finished: func(ctx context.Context, u upload) error {
			log.InfoContext(ctx, "upload is complete", "id", u.ID, "size", u.Size, "filename", u.MetaData["filename"])
			return nil // a real program would store it here and process it later
		},
		log: log,
	})
	mux.Handle("POST /webhook", newWebhook(secrets, func(ctx context.Context, body []byte) error {
		log.InfoContext(ctx, "webhook", "bytes", len(body))
		return nil
	}, log))
	return mux, nil
}
