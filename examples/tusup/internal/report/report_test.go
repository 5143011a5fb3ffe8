package report_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestErrorOf_Kinds(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for want, err := range map[report.Error]error{
		{Kind: "interrupted", Retryable: true}:         fmt.Errorf("paused: %w", context.Canceled),
		{Kind: "file"}:                                 &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES},
		{Kind: "network", Retryable: true}:             &tus.Error{Method: "POST", Err: refused},
		{Kind: "server", Status: 503, Retryable: true}: &tus.Error{Method: "POST", StatusCode: 503},
		{Kind: "server", Status: 400}:                  &tus.Error{Method: "POST", StatusCode: 400},
		{Kind: "too_large", Status: 413, Offset: 7}:    &tus.Error{Method: "PATCH", StatusCode: 413, Offset: 7, Err: tus.ErrTooLarge},
		{Kind: "usage"}:                                tus.ErrInvalidInput,
		{Kind: "held", Retryable: true}:                &tus.HeldError{},
		{Kind: "source_changed"}:                       fmt.Errorf("offset 5: %w", tus.ErrSourceChanged),
		{Kind: "stalled", Retryable: true}:             &tus.Error{Method: "HEAD", Err: tus.ErrStalled},
		{Kind: "unconfirmed"}:                          fmt.Errorf("%w: %w", tus.ErrUnconfirmed, refused),
		{Kind: "other"}:                                errors.New("hook failed"),
	} {
		got := report.ErrorOf(err)
		if want.Message = err.Error(); *got != want {
			t.Errorf("%v: got %+v, want %+v", err, *got, want)
		}
	}
	if report.ErrorOf(nil) != nil {
		t.Error("no error has a kind")
	}
	if kind := report.ErrorOf(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)).Kind; kind != report.KindFile {
		t.Errorf("the timeout of a source is %q", kind)
	}
}

func TestNameOf_BytesThatAreNotUTF8(t *testing.T) {
	for name, want := range map[string]string{"café": "café", "b\xffd": `b\xffd`, "b\ufffdd": "b\ufffdd"} {
		got := report.NameOf(name)
		if got.File != want {
			t.Errorf("%q is printed as %q, want %q", name, got.File, want)
		}
		if raw := string(got.Raw); raw != "" && raw != name || raw == "" && want != name {
			t.Errorf("%q has the bytes %q", name, raw)
		}
	}
}
