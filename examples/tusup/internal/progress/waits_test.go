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
			p.item(0).retry(tus.Retry{Attempt: attempt + 1, Delay: delay, Err: errRefused})
			time.Sleep(delay)
		}
		p.update(0, tus.Progress{InFlight: 8 * mib, Size: 64 * mib})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got,
		"0 B of 64.0 MiB, 0 %; connection refused, retry 3 in 1 s",
		"0 B of 64.0 MiB, 0 %; connection refused, retry 4 in 1 s",
		"0 B of 64.0 MiB, 0 %; connection refused, retry 5 in 13 s",
		"0 B of 64.0 MiB, 0 %; connection refused, retry 5 in 8 s",
		"0 B of 64.0 MiB, 0 %; connection refused, retry 5 in 3 s",
		"8.0 MiB of 64.0 MiB, 12 %")
}

// A link that fails briefly, such as a server that restarts, is not worth a line.
func TestWait_ShortRetryIsNotPrinted(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		time.Sleep(500 * time.Millisecond)
		p.item(0).retry(tus.Retry{Attempt: 1, Delay: 400 * time.Millisecond, Err: errRefused})
		time.Sleep(400 * time.Millisecond)
		p.update(0, tus.Progress{InFlight: 8 * mib, Size: 64 * mib})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "8.0 MiB of 64.0 MiB, 12 %, 7.3 MiB/s, 8 s left")
}

func TestWait_OneLineForSeveralFiles(t *testing.T) {
	files := []file{{"1.bin", mib}, {"2.bin", mib}, {"3.bin", mib}, {"4.bin", mib}, {"5.bin", mib}}
	got := printed(t, files, func(p *uploads) {
		for n := range 3 {
			p.item(n).retry(tus.Retry{Attempt: n + 1, Delay: 4 * time.Second, Err: errRefused})
		}
		p.item(3).retry(tus.Retry{Attempt: 2, Delay: 4 * time.Second, Err: &tus.Error{StatusCode: http.StatusLocked}})
		p.update(4, tus.Progress{InFlight: mib / 2, Size: mib})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "0 of 5 files, 512.0 KiB of 5.0 MiB, 10 %: 5.bin 50 %; 3 files: connection refused, retry 3 in 4 s; 4.bin: server busy (423), retry 2 in 4 s")
}

// While something waits, a line follows at the latest after about 5 seconds.
func TestWait_IsNeverSilent(t *testing.T) {
	for name, wait := range map[string]func(i *Item){
		"preparing, ":                         func(*Item) {},
		"waiting for the server's response, ": func(i *Item) { i.entered(tus.StateCreating, nil) },
		"no data moved, ": func(i *Item) {
			i.entered(tus.StateSending, nil)
			i.Update(tus.Progress{InFlight: mib, Size: 64 * mib})
		},
		"another uploader holds this upload until ": func(i *Item) {
			i.held(&tus.HeldError{Wait: time.Hour, Until: time.Now().Add(time.Hour)})
		},
		"connection refused, retry 4 running for ": func(i *Item) { i.retry(tus.Retry{Attempt: 4, Err: errRefused}) },
		"waiting for a window":                     func(i *Item) { i.Waiting("waiting for a window") },
	} {
		got := printed(t, movie, func(p *uploads) {
			wait(p.item(0))
			time.Sleep(time.Minute)
		})
		about := 0
		for _, line := range got {
			if strings.Contains(line, "; ") && strings.Contains(line, name) {
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
		p.item(0).entered(tus.StateSending, nil)
		p.update(0, tus.Progress{InFlight: 64 * mib, Size: 64 * mib})
		time.Sleep(12 * time.Second)
		nextFrame()
		wantScreen(t, term, "movie.mp4 99 % 64.0 of 64.0 MiB; waiting for the server's response, 12 s")
		p.item(0).entered(tus.StateReady, nil)
		nextFrame()
		wantScreen(t, term, "movie.mp4 ["+strings.Repeat("=", 38)+"] 99 % 64.0 of 64.0 MiB, 0 B/s")
	})
}

func TestWait_OfAllFilesHasNoTimeLeft(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, []file{{"1.bin", 64 * mib}, {"2.bin", mib}}, func(t *testing.T, p *uploads) {
		upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 2)
		p.item(0).retry(tus.Retry{Attempt: 2, Delay: 9 * time.Second, Err: errRefused})
		nextFrame()
		wantScreen(t, term, "1.bin               12 % 8.0 of 64.0 MiB; connection refused, retry 2 in 9 s", "0 of 2 files, 8.0 of 65.0 MiB, 12 %")
	})
}

func TestWait_EndsWithNextState(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		i := p.item(0)
		i.entered(tus.StateRecovering, errRefused)
		i.retry(tus.Retry{Attempt: 1, Delay: time.Second, Err: errRefused})
		time.Sleep(time.Second)
		i.entered(tus.StateReady, nil)
		i.entered(tus.StateSending, nil)
		time.Sleep(1500 * time.Millisecond)
	})
	wantLines(t, got, "0 B of 64.0 MiB, 0 %; connection refused, retry 1 in 1 s", "0 B of 64.0 MiB, 0 %")
}

func TestHeld_WithoutWaitIsNotShown(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		p.update(0, tus.Progress{Size: 64 * mib})
		p.item(0).held(&tus.HeldError{Until: time.Now().Add(time.Hour)})
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "0 B of 64.0 MiB, 0 %, 0 B/s")
}
