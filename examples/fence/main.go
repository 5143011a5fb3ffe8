// Command fence is a reverse proxy that protects the uploads of a tus server from clients
// that have lost their lease:
//
//	go run ./fence -listen 127.0.0.1:1081 -to http://127.0.0.1:1080
//
// Clients set Options.FenceHeader of package tus to Upload-Fence. A tus server in Go needs no
// proxy: package fencing is a handler to put before its handler.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed-175555ba/tus-go/examples/fence/fencing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fence:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fence", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:1081", "`host:port` to serve HTTP/1.1 and unencrypted HTTP/2 on")
	to := flags.String("to", "http://127.0.0.1:1080", "`URL` of the tus server, without the path of its endpoint")
	opts := fencing.Options{}
	flags.StringVar(&opts.Header, "header", "Upload-Fence", "`name` of the header field")
	flags.DurationVar(&opts.Wait, "wait", 10*time.Second, "how long a request waits for the end of an earlier one")
	flags.DurationVar(&opts.Idle, "idle", 24*time.Hour, "how long an upload is remembered after its last request")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	target, err := url.Parse(*to)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return errors.New("-to is not an HTTP URL")
	}
	if opts.Wait <= 0 || opts.Idle <= 0 {
		return errors.New("-wait and -idle must be positive")
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	fmt.Printf("%s -> %s\n", listener.Addr(), target.Redacted())
	return serve(ctx, listener, fencing.New(fencing.Proxy(target, nil), opts))
}

// serve serves until the context ends.
func serve(ctx context.Context, listener net.Listener, fence *fencing.Fence) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: fence, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second}
	server.RegisterOnShutdown(fence.EndAll)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := server.Shutdown(ctx)
	<-failed
	return err
}
