package progress

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

var errRefused = fmt.Errorf("dial: %w", syscall.ECONNREFUSED)

func TestWait_RetriesArePrintedWithCause(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		time.Sleep(100 * time.Millisecond) // no line is printed at the time of a retry
		for attempt, delay := range []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second, 14 * time.Second} {
			p.item(0).Hooks().OnRetry(nil, tus.Retry{Attempt: attempt + 1, Delay: delay, Err: errRefused})
			time.Sleep(delay)
		}
		p.update(0, tus.Progress{InFlight: 8 * mib, Size: 64 * mib})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got,
		"movie.mp4 0 % connection refused, retry 3 in 1 s, 0 B of 64.0 MiB",
		"movie.mp4 0 % connection refused, retry 5 in 12 s, 0 B of 64.0 MiB",
		"movie.mp4 0 % connection refused, retry 5 in 7 s, 0 B of 64.0 MiB",
		"movie.mp4 0 % connection refused, retry 5 in 2 s, 0 B of 64.0 MiB",
		"movie.mp4 12 % 8.0 of 64.0 MiB")
}

// A link that fails briefly, such as a server that restarts, is not worth a line.
func TestWait_ShortRetryIsNotPrinted(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		time.Sleep(500 * time.Millisecond)
		p.item(0).Hooks().OnRetry(nil, tus.Retry{Attempt: 1, Delay: 400 * time.Millisecond, Err: errRefused})
		time.Sleep(400 * time.Millisecond)
		p.update(0, tus.Progress{InFlight: 8 * mib, Size: 64 * mib})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "movie.mp4 12 % 8.0 of 64.0 MiB")
}

func TestWait_OneLineForSeveralFiles(t *testing.T) {
	files := []file{{"1.bin", mib}, {"2.bin", mib}, {"3.bin", mib}, {"4.bin", mib}, {"5.bin", mib}}
	got := printed(t, files, func(p *uploads) {
		for n := range 3 {
			p.item(n).Hooks().OnRetry(nil, tus.Retry{Attempt: n + 1, Delay: 4 * time.Second, Err: errRefused})
		}
		p.item(3).Hooks().OnRetry(nil, tus.Retry{Attempt: 2, Delay: 4 * time.Second, Err: &tus.Error{StatusCode: http.StatusLocked}})
		p.update(4, tus.Progress{InFlight: mib / 2, Size: mib})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "0/5 files 10 % 512.0 KiB of 5.0 MiB; 3 files wait: 1.bin 0 % connection refused, retry 1 in 3 s, 0 B of 1.0 MiB; "+
		"4.bin 0 % locked (423), retry 2 in 3 s, 0 B of 1.0 MiB; 5.bin 50 % 512.0 KiB of 1.0 MiB")
}

// While something waits, a line follows at the latest after about 5 seconds.
func TestWait_IsNeverSilent(t *testing.T) {
	for name, wait := range map[string]func(i *Item){
		"preparing, ":                         func(*Item) {},
		"waiting for the server's response, ": func(i *Item) { i.Hooks().OnStateChange(nil, 0, tus.StateCreating, nil) },
		"no data moved, ": func(i *Item) {
			i.Hooks().OnStateChange(nil, 0, tus.StateSending, nil)
			i.moved(tus.Progress{InFlight: mib, Size: 64 * mib})
		},
		"another uploader holds this upload until ": func(i *Item) {
			i.Hooks().OnHeld(nil, &tus.HeldError{Wait: time.Hour, Until: time.Now().Add(time.Hour)})
		},
		"connection refused, retry 4 running for ": func(i *Item) { i.Hooks().OnRetry(nil, tus.Retry{Attempt: 4, Err: errRefused}) },
		"waiting for a window":                     func(i *Item) { i.waits(wait{cause: "waiting for a window"}) },
	} {
		got := printed(t, movie, func(p *uploads) {
			wait(p.item(0))
			time.Sleep(time.Minute)
		})
		about := 0
		for _, line := range got {
			if strings.Contains(line, name) {
				about++
			}
		}
		if about < 11 || about > 14 {
			t.Errorf("%q is in %d lines:\n%s", name, about, strings.Join(got, "\n"))
		}
	}
}

// All bytes are sent, but the server has not acknowledged them.
func TestWait_ForResponseAfterLastByte(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, movie, func(t *testing.T, p *uploads) {
		p.item(0).Hooks().OnStateChange(nil, 0, tus.StateSending, nil)
		p.update(0, tus.Progress{InFlight: 64 * mib, Size: 64 * mib})
		time.Sleep(12 * time.Second)
		nextFrame()
		wantScreen(t, term, "movie.mp4 99 % waiting for the server's response, 12 s, 64.0 of 64.0 MiB")
		p.item(0).Hooks().OnStateChange(nil, 0, tus.StateReady, nil)
		nextFrame()
		wantScreen(t, term, "movie.mp4 99 % 64.0 of 64.0 MiB ["+strings.Repeat("=", 45)+"]")
	})
}

func TestWait_OfAllFilesHasNoTimeLeft(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, []file{{"1.bin", 64 * mib}, {"2.bin", mib}}, func(t *testing.T, p *uploads) {
		p.rate(4 * mib)
		upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 2)
		p.item(0).Hooks().OnRetry(nil, tus.Retry{Attempt: 2, Delay: 9 * time.Second, Err: errRefused})
		nextFrame()
		wantScreen(t, term, "1.bin     12 % connection refused, retry 2 in 9 s, 8.0 of 64.0 MiB", "0/2 files 12 % 8.0 of 65.0 MiB ["+strings.Repeat("=", 6)+strings.Repeat(" ", 40)+"]")
	})
}

func TestWait_EndsWithNextState(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, movie, func(t *testing.T, p *uploads) {
		i := p.item(0)
		i.Hooks().OnStateChange(nil, 0, tus.StateRecovering, errRefused)
		i.Hooks().OnRetry(nil, tus.Retry{Attempt: 1, Delay: 2 * time.Second, Err: errRefused})
		nextFrame()
		wantScreen(t, term, "movie.mp4  0 % connection refused, retry 1 in 2 s, 0 B of 64.0 MiB")
		i.Hooks().OnStateChange(nil, 0, tus.StateReady, nil)
		i.Hooks().OnStateChange(nil, 0, tus.StateSending, nil)
		nextFrame()
		wantScreen(t, term, "movie.mp4  0 % 0 B of 64.0 MiB ["+strings.Repeat(" ", 46)+"]")
	})
}

// The request that creates an upload may have data.
func TestWait_ForStandardInputIsNoWaitForServer(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, []file{{"stdin", -1}}, func(t *testing.T, p *uploads) {
		p.item(0).Hooks().OnStateChange(nil, 0, tus.StateCreating, nil)
		time.Sleep(5 * time.Second)
		nextFrame()
		wantScreen(t, term, "stdin      no data moved, 5 s, 0 B")
	})
}

func TestReason_KeepsTimeInNarrowRow(t *testing.T) {
	r := reason{"service unavailable (503)", "retry 4 in ", 4 * time.Second}
	for width, want := range map[int]string{
		80: "service unavailable (503), retry 4 in 4 s", 40: "service unavailable (503), 4 s", 30: "service unavailable (503), 4 s", 24: "service unavailabl…, 4 s",
	} {
		if got := r.fit(width); got != want {
			t.Errorf("with %d columns it is %q, want %q", width, got, want)
		}
	}
}

func TestHeld_WithoutWaitIsNotShown(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		p.update(0, tus.Progress{Size: 64 * mib})
		p.item(0).Hooks().OnHeld(nil, &tus.HeldError{Until: time.Now().Add(time.Hour)})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "movie.mp4 0 % 0 B of 64.0 MiB")
}
