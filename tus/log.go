package tus

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
)

// logHooks write down what happens, without credentials and without the queries
// of URLs.
func logHooks(log *slog.Logger) *Hooks {
	say := func(level slog.Level, text, name string, attrs ...slog.Attr) {
		log.LogAttrs(context.Background(), level, text, append([]slog.Attr{slog.String("name", name)}, attrs...)...)
	}
	return &Hooks{
		AfterResponse: func(req *http.Request, resp *Response) {
			attrs := []slog.Attr{
				slog.String("method", req.Method), slog.String("url", redactURL(req.URL)), slog.Int("status", resp.StatusCode),
			}
			if from := req.Header.Get(headerUploadOffset); from != "" {
				attrs = append(attrs, slog.String("offset", from))
			}
			log.LogAttrs(req.Context(), slog.LevelDebug, "tus request", attrs...)
		},
		OnUploadURL: func(e UploadURLEvent) {
			say(slog.LevelInfo, "tus upload created", e.Name, slog.String("url", urlForLog(e.URL)))
		},
		OnStateChange: func(e StateEvent) {
			attrs := []slog.Attr{slog.String("from", e.From.String()), slog.String("to", e.To.String())}
			if e.Err != nil {
				attrs = append(attrs, slog.Any("error", e.Err))
			}
			say(stateLevel(e), "tus state", e.Name, attrs...)
		},
		OnRetry: func(e RetryEvent) {
			say(slog.LevelWarn, "tus retry", e.Name,
				slog.Int("attempt", e.Attempt), slog.Duration("delay", e.Delay), slog.Any("error", e.Err))
		},
		OnStoreError: func(e StoreError) {
			say(slog.LevelError, "tus store", e.Name, slog.String("op", e.Op), slog.Any("error", e.Err))
		},
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

// urlForLog is empty for what is not a URL.
func urlForLog(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return redactURL(u)
}
