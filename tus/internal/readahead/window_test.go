package readahead_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
)

func TestWindow_AdvanceReturnsAllChunks(t *testing.T) {
	all := []byte("0123456789")
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(all), "byte by byte": iotest.OneByteReader(bytes.NewReader(all)),
		"EOF with data": iotest.DataErrReader(bytes.NewReader(all)),
	} {
		w := readahead.New(io.NopCloser(r), 4, 2)
		w.Algorithm = sha1Algorithm
		var got []byte
		for !w.Ended() {
			if err := w.Advance(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.Start() != int64(len(got)) {
				t.Errorf("%s: starts at %d, want %d", name, w.Start(), len(got))
			}
			got = append(got, w.Data()...)
			if sum := w.Sum(); sum.Algorithm != "sha1" || len(sum.Sum) != 20 {
				t.Errorf("%s: sum is %+v", name, sum)
			}
			if err := w.Peek(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, all) || w.End() != int64(len(all)) || w.Err() != nil {
			t.Errorf("%s: got %q up to %d, %v", name, got, w.End(), w.Err())
		}
		w.Close()
	}
}

func TestWindow_ErrorOfReaderFollowsData(t *testing.T) {
	broken := errors.New("broken")
	w := readahead.New(io.NopCloser(io.MultiReader(bytes.NewReader([]byte("0123")), iotest.ErrReader(broken))), 3, 3)
	defer w.Close()
	for _, want := range []string{"012", "3"} {
		if err := w.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if string(w.Data()) != want || w.Ended() {
			t.Errorf("data is %q, want %q", w.Data(), want)
		}
	}
	if err := w.Err(); err != broken {
		t.Errorf("error is %v", err)
	}
}

func TestWindow_InterruptKeepsReadBytes(t *testing.T) {
	from, to := net.Pipe()
	defer to.Close()
	w := readahead.New(from, 4, 4)
	w.Fetch()
	to.Write([]byte("01"))
	w.Interrupt() // the read-ahead waits for two more bytes
	go to.Write([]byte("23"))
	if err := w.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if string(w.Data()) != "0123" || w.Err() != nil {
		t.Errorf("data is %q, error %v", w.Data(), w.Err())
	}
	w.Close()
}

func TestWindow_CanceledContextEndsWait(t *testing.T) {
	from, to := net.Pipe()
	defer to.Close()
	w := readahead.New(from, 4, 4)
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Advance(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

var sha1Algorithm = checksum.Algorithm{Name: "sha1", New: sha1.New}
