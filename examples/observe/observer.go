package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-175555ba/tus-go/tus"
)

// observer observes the uploads of a program.
type observer struct {
	log      *slog.Logger
	provider trace.TracerProvider
	tracer   trace.Tracer
	metrics  *metrics
}

func newObserver(logs slog.Handler, provider trace.TracerProvider, registry prometheus.Registerer) *observer {
	return &observer{
		log:      slog.New(withTraceID{logs}),
		provider: provider,
		tracer:   provider.Tracer("github.com/seed-175555ba/tus-go/examples/observe"),
		metrics:  newMetrics(registry),
	}
}

// options returns the options of a client whose uploads are observed.
func (o *observer) options(base *http.Transport) tus.Options {
	return tus.Options{
		HTTPClient: &http.Client{Transport: traced(base, o.provider)},
		Hooks: tus.Hooks{
			// Do not set BeforeRequest: with it, a client retries a request after a
			// 401, because the hook may renew credentials.
			AfterResponse: func(r *http.Request, resp *tus.Response) {
				o.metrics.request(r.Method, resp.StatusCode)
				o.logRequest(r, resp)
			},
			OnRetry: func(u *tus.Uploader, r tus.Retry) {
				o.metrics.retry(r.Err)
				o.logRetry(u, r)
			},
			OnStoreError: o.logStoreError,
		},
	}
}

// upload is [tus.Client.Upload] with a span, logs and metrics.
func (o *observer) upload(ctx context.Context, client *tus.Client, source tus.Source, opts *tus.UploadOptions) (*tus.Result, error) {
	var observed tus.UploadOptions
	if opts != nil {
		observed = *opts
	}
	ctx, span := o.tracer.Start(ctx, "tus upload")
	defer span.End()
	own := observed.Hooks.OnProgress
	count := o.metrics.begin()
	observed.Hooks.OnProgress = func(u *tus.Uploader, p tus.Progress) {
		count.advance(u.Stats())
		if own != nil {
			own(u, p)
		}
	}
	u, err := client.NewUploader(source, &observed)
	if err != nil {
		count.end(tus.Stats{}, tus.StateFailed)
		return &tus.Result{}, err
	}
	result, err := u.Run(ctx)
	stats := u.Stats()
	count.end(stats, u.State())
	span.SetAttributes(
		attribute.String("tus.url", redactedURL(result.URL)),
		attribute.String("tus.state", u.State().String()),
		attribute.Int64("tus.size", result.Size),
		attribute.Int64("tus.resumed_from", stats.ResumedFrom),
		attribute.Int64("tus.resent", stats.Resent),
		attribute.Int("tus.retries", stats.Retries),
	)
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("url", redactedURL(result.URL)), slog.String("state", u.State().String()),
		slog.Int64("size", result.Size), slog.Int64("offset", result.Offset),
		slog.Int64("resumed_from", stats.ResumedFrom), slog.Int64("resent", stats.Resent),
		slog.Int("retries", stats.Retries), slog.Duration("elapsed", stats.Elapsed.Round(time.Millisecond)),
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		level, attrs = slog.LevelError, append(attrs, slog.Any("error", err))
	}
	o.log.LogAttrs(ctx, level, "upload ended", attrs...)
	return result, err
}

// redactedURL returns a URL without user and query, "" if it is invalid.
func redactedURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return withoutSecrets(u).String()
}

// withoutSecrets returns a copy without user and query, which may have a signature.
func withoutSecrets(u *url.URL) *url.URL {
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
}
