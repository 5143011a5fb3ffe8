package netfault

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// stamped records when bytes arrive.
type stamped struct {
	bytes.Buffer
	start time.Time
	times []time.Duration
}

func (s *stamped) Write(p []byte) (int, error) {
	s.times = append(s.times, time.Since(s.start))
	return s.Buffer.Write(p)
}

func TestDelayLine_KeepsRateAndRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 1 MiB at 1 MiB/s; the first packet also waits for the handshake.
		const rtt = 100 * time.Millisecond
		out := &stamped{start: time.Now()}
		l := newDelayLine(Shape{RoundTrip: rtt, Rate: 1 << 20}, Up, out, func() {}, make(chan struct{}))
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		if _, err := io.Copy(l, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		// The writer waits for bytes beyond the window.
		if wait := time.Since(out.start); wait < 500*time.Millisecond || wait >= time.Second {
			t.Errorf("the writer waited %v", wait)
		}
		l.finish()
		if !bytes.Equal(out.Bytes(), data) {
			t.Error("out has other bytes")
		}
		packet := time.Second / 64
		if first, want := out.times[0], rtt+rtt/2+packet; first != want {
			t.Errorf("first bytes came after %v, want %v", first, want)
		}
		if last, want := out.times[len(out.times)-1], rtt+rtt/2+time.Second; last != want {
			t.Errorf("last bytes came after %v, want %v", last, want)
		}
	})
}

func TestDelayLine_EndsWhenLinkIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan struct{})
		out := &stamped{start: time.Now()}
		l := newDelayLine(Shape{Rate: 1}, Down, out, func() {}, cut)
		time.AfterFunc(time.Second, func() { close(cut) })
		n, err := l.Write(make([]byte, 1<<20))
		if err == nil || n == 1<<20 {
			t.Errorf("wrote %d, %v", n, err)
		}
		l.finish()
		if out.Len() > 0 {
			t.Errorf("%d bytes arrived", out.Len())
		}
	})
}
