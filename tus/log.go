package tus

import (
	"context"
	"log/slog"
	"net/url"
)

// logHooks log what happens, without credentials and without the queries of URLs. Requests
// are logged by exchange.
func logHooks(log *slog.Logger, redactURL func(*url.URL) string) *Hooks {
	// at is the upload URL; that of u, if it is empty.
	say := func(level slog.Level, text string, u *Uploader, name, at string, attrs ...slog.Attr) {
		ctx := context.Background()
		if u != nil {
			ctx = u.turn.context()
		}
		if !log.Enabled(ctx, level) {
			return
		}
		if at == "" && u != nil {
			at = u.URL()
		}
		about := []slog.Attr{slog.String("name", name)} // of several uploads, perhaps
		if parsed, err := url.Parse(at); err == nil && at != "" {
			about = append(about, slog.String("url", redactURL(parsed)))
		}
		log.LogAttrs(ctx, level, text, append(about, attrs...)...)
	}
	return &Hooks{
		OnUploadURL: func(e UploadURLEvent) {
			say(slog.LevelInfo, "tus upload created", e.Uploader, e.Name, e.URL)
		},
		OnStateChange: func(e StateEvent) {
			attrs := []slog.Attr{slog.String("from", e.From.String()), slog.String("to", e.To.String())}
			if e.Err != nil {
				attrs = append(attrs, slog.Any("error", e.Err))
			}
			if e.To.Final() || e.To == StatePaused {
				attrs = append(attrs, costAttrs(e.Uploader)...)
			}
			say(stateLevel(e), "tus state", e.Uploader, e.Name, "", attrs...)
		},
		OnRetry: func(e RetryEvent) {
			say(slog.LevelWarn, "tus retry", e.Uploader, e.Name, "",
				slog.Int("attempt", e.Attempt), slog.Duration("delay", e.Delay), slog.Any("error", e.Err))
		},
		OnHeld: func(e HeldEvent) {
			say(slog.LevelWarn, "tus stored upload is held", e.Uploader, e.Name, e.URL,
				slog.Time("until", e.Until), slog.Duration("wait", e.Wait))
		},
		OnStoreError: func(e StoreError) {
			say(slog.LevelError, "tus store", e.Uploader, e.Name, "", slog.String("op", e.Op), slog.Any("error", e.Err))
		},
	}
}

// warn logs what happens to the upload of a source.
func (q requester) warn(ctx context.Context, name, text string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("name", name)}, attrs...)
	q.client.log.LogAttrs(ctx, slog.LevelWarn, text, attrs...)
}

// notResumed logs why the stored upload at a URL is not resumed.
func (q requester) notResumed(ctx context.Context, name, at, reason string) {
	q.warn(ctx, name, "tus stored upload not resumed", slog.String("reason", reason), slog.String("url", q.client.showURL(at)))
}

// costAttrs sum up an upload that ended for now.
func costAttrs(u *Uploader) []slog.Attr {
	stats := u.Stats()
	return []slog.Attr{
		slog.Int64("offset", u.Offset()), slog.Int64("resumed_from", stats.ResumedFrom), slog.Int64("sent", stats.Sent),
		slog.Int("requests", stats.TotalRequests()), slog.Int("retries", stats.Retries), slog.Duration("elapsed", stats.Elapsed),
	}
}

func stateLevel(e StateEvent) slog.Level {
	switch e.To {
	case StateFailed:
		return slog.LevelError
	case StateComplete, StatePaused, StateAborted:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
