package report

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"

	"github.com/seed-175555ba/tus-go/tus"
)

// Error is an error for programs.
type Error struct {
	Status    int    `json:"status,omitempty" jsonschema_description:"HTTP status of the response; absent if there was none."`
	Kind      Kind   `json:"kind"`
	Offset    int64  `json:"offset,omitempty" jsonschema_description:"Offset in bytes of the request that failed; absent for 0."`
	Retryable bool   `json:"retryable" jsonschema_description:"The same command may succeed later."`
	Message   string `json:"message" jsonschema_description:"Text for people, without credentials. It may change."`
}

// Kind is the kind of an error.
type Kind string

// The kinds that are not those of an error of package tus.
const (
	KindUsage       Kind = "usage"
	KindInterrupted Kind = "interrupted"
	KindHeld        Kind = "held"
	KindFile        Kind = "file"
	KindNetwork     Kind = "network"
	KindServer      Kind = "server"
	KindOther       Kind = "other"
)

// kinds are the kinds of errors of package tus. The first that matches is used.
func kinds() []struct {
	err  error
	kind Kind
} {
	return []struct {
		err  error
		kind Kind
	}{
		{tus.ErrUnconfirmed, "unconfirmed"},
		{tus.ErrUnauthorized, "unauthorized"},
		{tus.ErrTooLarge, "too_large"},
		{tus.ErrUploadGone, "gone"},
		{tus.ErrUnsupported, "unsupported"},
		{tus.ErrChecksumMismatch, "checksum_mismatch"},
		{tus.ErrSourceChanged, "source_changed"},
		{tus.ErrSourceMismatch, "source_mismatch"},
		{tus.ErrNotRecoverable, "not_recoverable"},
		{tus.ErrLeaseLost, "lease_lost"},
		{tus.ErrStore, "store"},
		{tus.ErrStalled, "stalled"},
		{tus.ErrProtocol, "protocol"},
		{tus.ErrInvalidInput, KindUsage},
	}
}

// Kinds returns all kinds.
func Kinds() []Kind {
	all := []Kind{KindUsage, KindInterrupted, KindHeld, KindFile, KindNetwork, KindServer, KindOther}
	for _, k := range kinds() {
		if k.kind != KindUsage {
			all = append(all, k.kind)
		}
	}
	return all
}

// ErrorOf returns an error for programs, nil for nil.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	e := &Error{Kind: kindOf(err), Message: err.Error()}
	var request *tus.Error
	if errors.As(err, &request) {
		e.Status, e.Offset = request.StatusCode, request.Offset
	}
	switch e.Kind {
	case KindInterrupted, KindHeld:
		e.Retryable = true
	case KindFile, KindUsage:
	default:
		e.Retryable = tus.IsRetryable(err)
	}
	return e
}

func kindOf(err error) Kind {
	var (
		held    *tus.HeldError
		request *tus.Error
		path    *fs.PathError
		network net.Error
	)
	if errors.Is(err, context.Canceled) || errors.Is(err, tus.ErrPaused) {
		return KindInterrupted
	}
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	switch {
	case errors.As(err, &held):
		return KindHeld
	case errors.As(err, &request) && request.StatusCode != 0:
		return KindServer
	case errors.As(err, &path): // before net.Error, which a system error is as well
		return KindFile
	case errors.As(err, &request):
		return KindNetwork
	case errors.Is(err, os.ErrDeadlineExceeded): // of Options.SourceTimeout
		return KindFile
	case errors.As(err, &network):
		return KindNetwork
	}
	return KindOther
}
