// Command observe uploads files and shows how to observe uploads with logs, traces and
// metrics.
//
//	TUS_ENDPOINT=http://127.0.0.1:1080/files/ go run ./observe -metrics 127.0.0.1:9090 FILE...
//
// Package tus logs only if Options.Logger is set, which is enough for many programs.
// This program uses hooks, so that logs have trace IDs, and wraps the transport:
//
//   - Logs (logs.go): hooks write to log/slog, with the ID of the trace.
//   - Traces (traces.go): each upload is an OpenTelemetry span, and each of its
//     requests a child span, created by otelhttp around tus.NewTransport.
//   - Metrics (metrics.go): hooks update Prometheus metrics.
//
// None of them contains secrets: upload URLs have no user and query, and headers are
// omitted.
//
// The command prints spans to standard output and logs to standard error, in JSON.
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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-175555ba/tus-go/tus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("observe", flag.ContinueOnError)
	addr := flags.String("metrics", "", "`host:port` to serve /metrics on until all files are uploaded")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	exporter, err := stdouttrace.New() // a real program would use otlptracehttp
	if err != nil {
		return err
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter))
	defer func() { // sends the remaining spans
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, provider.Shutdown(ctx))
	}()
	registry := prometheus.NewRegistry()
	if *addr != "" {
		listener, err := net.Listen("tcp", *addr)
		if err != nil {
			return err
		}
		defer listener.Close()
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		go server.Serve(listener)
		defer server.Close()
	}
	logs := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})
	o := newObserver(logs, provider, registry)
	options := o.options(tus.NewTransport())
	client, err := tus.NewClientFromEnv(&options)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	for _, path := range flags.Args() {
		if _, err := o.upload(ctx, client, tus.File(path), nil); err != nil {
			return err
		}
	}
	return nil
}
