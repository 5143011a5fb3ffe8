package send

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// closer is a reader whose Close waits until release is closed.
type closer struct {
	io.Reader
	release <-chan struct{}
}

func (c closer) Close() error { <-c.release; return nil }

// A transport may start to read a body while Stop waits for the source of another one.
func TestBodies_ReadDuringStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stall := &StallTimer{Cut: func(error) {}}
		stall.Start()
		defer stall.Stop()
		b := &Bodies{
			Payload: &Payload{Size: 4, Open: func(context.Context) (io.ReadCloser, error) {
				return closer{strings.NewReader("data"), release}, nil
			}},
			Stall: stall, Panics: new(async.Panics), SourceError: func(err error) error { return err },
			Begun: func(int64) {}, Moved: func(int) {},
		}
		var bodies []io.Reader
		for range 2 {
			r, err := b.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, r)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			b.Stop()
		}()
		synctest.Wait() // until Stop closes the first source
		go bodies[1].Read(make([]byte, 4))
		synctest.Wait()
		close(release)
		<-stopped
		if n, err := bodies[1].Read(make([]byte, 4)); n != 0 || err == nil {
			t.Errorf("read %d bytes after Stop: %v", n, err)
		}
	})
}
