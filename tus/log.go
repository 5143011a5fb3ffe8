package tus

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// logHooks returns hooks that log, without credentials and without the queries of URLs.
// exchange logs the requests.
func logHooks(log *slog.Logger, ofClient *httpx.Redactor) *Hooks {
	// uploadURL may be empty for that of u.
	write := func(level slog.Level, text string, u *Uploader, uploadURL string, attrs ...slog.Attr) {
		ctx, redactor := context.Background(), ofClient
		if u != nil {
			ctx, redactor = u.driving.context(), u.redactor
		}
		if !log.Enabled(ctx, level) {
			return
		}
		if uploadURL == "" && u != nil {
			uploadURL = u.URL()
		}
		upload := []slog.Attr{slog.String("name", u.Name())}
		if parsed, err := url.Parse(uploadURL); err == nil && uploadURL != "" {
			upload = append(upload, slog.String("url", redactor.URL(parsed)))
		}
		log.LogAttrs(ctx, level, text, append(upload, attrs...)...)
	}
	return &Hooks{
		OnCreated: func(u *Uploader, c *Created) {
			write(slog.LevelInfo, "tus upload created", u, c.URL)
		},
		OnResumed: func(u *Uploader, r Resumed) {
			write(slog.LevelInfo, "tus upload resumed", u, r.URL, slog.Int64("offset", r.Offset))
		},
		OnStateChange: func(u *Uploader, from, to State, err error) {
			attrs := []slog.Attr{slog.String("from", from.String()), slog.String("to", to.String())}
			if err != nil {
				attrs = append(attrs, slog.Any("error", err))
			}
			if to.Final() || to == StatePaused {
				attrs = append(attrs, costAttrs(u)...)
			}
			write(stateLevel(to), "tus state", u, "", attrs...)
		},
		OnRetry: func(u *Uploader, r Retry) {
			write(slog.LevelWarn, "tus retry", u, "",
				slog.Int("attempt", r.Attempt), slog.Duration("delay", r.Delay), slog.Any("error", r.Err))
		},
		OnHeld: func(u *Uploader, held *HeldError) {
			write(slog.LevelWarn, "tus stored upload is held", u, held.url,
				slog.Time("until", held.Until), slog.Duration("wait", held.Wait))
		},
		OnStoredUploadRefused: func(u *Uploader, refused *StoredError) {
			write(slog.LevelWarn, "tus stored upload is refused", u, "",
				slog.String("record", refused.ID), slog.Time("created", refused.Created), slog.Any("error", refused.refusal))
		},
		OnStoreError: func(u *Uploader, err error) {
			write(slog.LevelError, "tus store", u, "", slog.Any("error", err))
		},
	}
}

// warn logs a warning about the upload of a source.
func (q requester) warn(ctx context.Context, name, text string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("name", name)}, attrs...)
	q.client.opts.Logger.LogAttrs(ctx, slog.LevelWarn, text, attrs...)
}

// warnLimit logs a lower limit of requests; 0 for none.
func (q requester) warnLimit(ctx context.Context, name string, limit int64) {
	if limit > 0 {
		q.warn(ctx, name, "tus smaller requests: nothing of an interrupted one is on the server, as behind a proxy that buffers requests",
			slog.Int64("limit", limit))
	}
}

// notResumed counts a stored upload that is not resumed, and logs the reason.
func (q requester) notResumed(ctx context.Context, name, uploadURL, reason string) {
	q.counters.update(func(s *Stats) { s.NotResumed++ })
	q.warn(ctx, name, "tus stored upload not resumed", slog.String("reason", reason), slog.String("url", q.showURL(uploadURL)))
}

// costAttrs returns the counters of an upload that ended or was paused.
func costAttrs(u *Uploader) []slog.Attr {
	stats, requests := u.Stats(), 0
	for _, n := range stats.Requests {
		requests += n
	}
	return []slog.Attr{
		slog.Int64("offset", u.Offset()), slog.Int64("resumed_from", stats.ResumedFrom), slog.Int64("sent", stats.Sent),
		slog.Int("requests", requests), slog.Int("retries", stats.Retries), slog.Duration("elapsed", stats.Elapsed),
	}
}

func stateLevel(s State) slog.Level {
	switch s {
	case StateFailed:
		return slog.LevelError
	case StateComplete, StatePaused, StateAborted:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
