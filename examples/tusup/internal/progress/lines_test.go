package progress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
)

const mib = 1 << 20

// file is a file that is expected.
type file struct {
	name string
	size int64 // -1 if unknown
}

// uploads are the uploads of a test, each of which starts with its first update.
type uploads struct {
	*Display
	files []file
	items map[int]*Item
}

// startUploads starts a display of files.
func startUploads(o Options, files []file) *uploads {
	u := &uploads{New(o), files, map[int]*Item{}}
	for _, f := range files {
		u.Expect(1, f.size)
	}
	return u
}

func (u *uploads) item(n int) *Item {
	if u.items[n] == nil {
		u.items[n] = u.Start(u.files[n].name, u.files[n].size)
	}
	return u.items[n]
}

func (u *uploads) update(n int, now tus.Progress) { u.item(n).Update(now) }

func (u *uploads) finish(n int, size int64, err error) { u.item(n).End(size, err) }

// upload reports progress of a file eight times per second, starting with now. It
// returns between two reports, so that no line is printed at the same time.
func upload(p *uploads, f int, now tus.Progress, perSecond int64, seconds int) tus.Progress {
	for range seconds * 8 {
		time.Sleep(time.Second / 16)
		now.InFlight += perSecond / 8
		p.update(f, now)
		time.Sleep(time.Second / 16)
	}
	return now
}

// printed runs uploads in fake time and returns the printed lines.
func printed(t *testing.T, files []file, run func(p *uploads)) []string {
	t.Helper()
	var output strings.Builder
	synctest.Test(t, func(t *testing.T) {
		p := startUploads(Options{Mode: Plain, Output: &output}, files)
		run(p)
		p.Close()
	})
	if strings.Contains(output.String(), "-") {
		t.Errorf("output has a negative number:\n%s", output.String())
	}
	return strings.Split(strings.TrimSuffix(output.String(), "\n"), "\n")
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("lines are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLine_ShowsRateAndTimeLeft(t *testing.T) {
	files := []file{{name: "movie.mp4", size: 64 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{Size: 64 * mib})
		upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 5)
	})
	wantLines(t, got,
		"8.0 MiB of 64.0 MiB, 12 %, 4.0 MiB/s, 14 s left",
		"16.0 MiB of 64.0 MiB, 25 %, 4.0 MiB/s, 12 s left")
}

func TestRate_FollowsLastSeconds(t *testing.T) {
	files := []file{{name: "movie.mp4", size: 640 * mib}}
	got := printed(t, files, func(p *uploads) {
		now := tus.Progress{Size: 640 * mib}
		p.update(0, now)
		now = upload(p, 0, now, 20*mib, 4)
		upload(p, 0, now, 2*mib, 6)
	})
	wantLines(t, got,
		"40.0 MiB of 640.0 MiB, 6 %, 20.0 MiB/s, 30 s left",
		"80.0 MiB of 640.0 MiB, 12 %, 20.0 MiB/s, 28 s left",
		"84.0 MiB of 640.0 MiB, 13 %, 12.8 MiB/s, 44 s left",
		"88.0 MiB of 640.0 MiB, 13 %, 5.9 MiB/s, 1 min 34 s left",
		"92.0 MiB of 640.0 MiB, 14 %, 2.0 MiB/s, 4 min 38 s left")
}

func TestRate_ExcludesEarlierSessions(t *testing.T) {
	files := []file{{name: "movie.mp4", size: 64 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{Size: 64 * mib}) // parts report one after the other
		now := tus.Progress{Acknowledged: 32 * mib, Size: 64 * mib}
		p.update(0, now)
		upload(p, 0, now, mib, 3)
	})
	wantLines(t, got, "34.0 MiB of 64.0 MiB, 53 %, 1.0 MiB/s, 30 s left")
}

// A broken connection loses the bytes in flight.
func TestLine_LostBytesAreNotNegative(t *testing.T) {
	files := []file{{name: "movie.mp4", size: 64 * mib}}
	got := printed(t, files, func(p *uploads) {
		now := tus.Progress{Size: 64 * mib}
		p.update(0, now)
		now = upload(p, 0, now, 4*mib, 3)
		now.InFlight, now.Acknowledged = 0, mib
		p.update(0, now)
		upload(p, 0, now, mib/2, 4)
	})
	wantLines(t, got,
		"8.0 MiB of 64.0 MiB, 12 %, 4.0 MiB/s, 14 s left",
		"1.5 MiB of 64.0 MiB, 2 %, 384.0 KiB/s, 2 min 47 s left",
		"2.5 MiB of 64.0 MiB, 3 %, 296.1 KiB/s, 3 min 33 s left")
}

func TestLine_StalledLinkHasNoTimeLeft(t *testing.T) {
	files := []file{{name: "movie.mp4", size: 64 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{Size: 64 * mib})
		upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 3)
		time.Sleep(time.Hour)
	})
	if last := got[len(got)-1]; last != "12.0 MiB of 64.0 MiB, 18 %, 0 B/s" || len(got) > 6 {
		t.Errorf("%d lines, the last is %q", len(got), last)
	}
}

func TestLine_NoneBeforeFirstUpload(t *testing.T) {
	got := printed(t, []file{{name: "movie.mp4", size: 64 * mib}}, func(p *uploads) {
		time.Sleep(time.Minute)
	})
	wantLines(t, got, "")
}

func TestLine_UnknownSizeHasNoPercent(t *testing.T) {
	files := []file{{name: "stdin", size: -1}}
	got := printed(t, files, func(p *uploads) {
		now := tus.Progress{SizeUnknown: true}
		p.update(0, now)
		now = upload(p, 0, now, 4*mib, 3)
		now.SizeUnknown, now.Size = false, 32*mib
		upload(p, 0, now, 4*mib, 2)
	})
	wantLines(t, got, "8.0 MiB, 4.0 MiB/s", "16.0 MiB of 32.0 MiB, 50 %, 4.0 MiB/s, 4 s left")
}

func TestLine_NamesFilesInFlight(t *testing.T) {
	files := []file{{name: "a/1.bin", size: 10 * mib}, {name: "b/2.bin", size: 30 * mib}, {name: "stdin", size: -1},
		{name: "4.bin", size: 20 * mib}, {name: "5.bin", size: 20 * mib}, {name: "6.bin", size: 20 * mib}, {name: "7.bin", size: 0}}
	got := printed(t, files, func(p *uploads) {
		start := func(n int, sent int64) { p.update(n, tus.Progress{InFlight: sent, Size: files[n].size}) }
		start(1, 3*mib)
		p.update(2, tus.Progress{SizeUnknown: true, InFlight: 5 * mib})
		time.Sleep(3 * time.Second)
		start(0, 2*mib)
		start(3, 2*mib)
		start(4, 2*mib)
		start(5, 2*mib)
		p.finish(6, 0, nil)
		time.Sleep(2 * time.Second)
		p.finish(2, 5*mib, nil)
		p.finish(1, 30*mib, errors.New("no"))
		time.Sleep(2 * time.Second)
	})
	for i, want := range []string{
		"0 of 7 files, 8.0 MiB, 4.0 MiB/s: 2.bin 10 %, stdin 5.0 MiB",
		"1 of 7 files, 16.0 MiB, 4.0 MiB/s: 2.bin 10 %, stdin 5.0 MiB, 1.bin 20 %, 4.bin 10 %, 2 more",
		"2 of 7 files, 1 failed, 13.0 MiB of 75.0 MiB, 17 %, 2.7 MiB/s, 24 s left: 1.bin 20 %, 4.bin 10 %, 5.bin 10 %, 6.bin 10 %",
	} {
		if i >= len(got) || got[i] != want {
			t.Errorf("line %d is not\n%s\nin\n%s", i, want, strings.Join(got, "\n"))
		}
	}
}

func TestLine_BetweenFilesHasTotals(t *testing.T) {
	files := []file{{name: "1.bin", size: 8 * mib}, {name: "2.bin", size: 8 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{Size: 8 * mib})
		p.update(0, tus.Progress{InFlight: mib, Size: 8 * mib})
		time.Sleep(time.Second)
		p.finish(0, 8*mib, nil)
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "1 of 2 files, 8.0 MiB of 16.0 MiB, 50 %, 4.0 MiB/s, 2 s left")
}

func TestLine_PausedFileKeepsProgress(t *testing.T) {
	files := []file{{name: "1.bin", size: 8 * mib}, {name: "2.bin", size: 8 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{Acknowledged: 4 * mib, Size: 8 * mib})
		p.finish(0, 8*mib, fmt.Errorf("paused: %w", context.Canceled))
		time.Sleep(3 * time.Second)
	})
	wantLines(t, got, "0 of 2 files, 4.0 MiB of 16.0 MiB, 25 %, 0 B/s: 1.bin 50 %")
}

// Earlier the rate would only measure the buffers of the system.
func TestRate_UnknownInFirstSecond(t *testing.T) {
	files := []file{{name: "movie.mp4", size: 64 * mib}}
	got := printed(t, files, func(p *uploads) {
		time.Sleep(1500 * time.Millisecond)
		p.update(0, tus.Progress{InFlight: 8 * mib, Size: 64 * mib})
		time.Sleep(time.Second)
	})
	wantLines(t, got, "8.0 MiB of 64.0 MiB, 12 %")
}

func TestLine_SamePathTwiceCountsTwice(t *testing.T) {
	files := []file{{name: "1.bin", size: 10 * mib}, {name: "1.bin", size: 10 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{InFlight: 4 * mib, Size: 10 * mib})
		p.update(1, tus.Progress{InFlight: mib, Size: 10 * mib})
		time.Sleep(3 * time.Second)
	})
	wantLines(t, got, "0 of 2 files, 5.0 MiB of 20.0 MiB, 25 %, 2.5 MiB/s, 6 s left: 1.bin 40 %, 1.bin 10 %")
}

func TestLine_EmptyFiles(t *testing.T) {
	files := []file{{name: "1.bin"}, {name: "2.bin"}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{})
		time.Sleep(3 * time.Second)
	})
	wantLines(t, got, "0 of 2 files, 0 B of 0 B, 0 B/s: 1.bin 0 B")
}

func TestPercent_IsAtMost99(t *testing.T) {
	if got := percent(mib, mib); got != 99 {
		t.Errorf("all bytes sent is %d %%", got)
	}
	for sent := range int64(100) {
		if got := percent(sent, 100); got != int(sent) {
			t.Errorf("%d of 100 is %d %%", sent, got)
		}
	}
	if got := percent(1<<62, 1<<62+1<<61); got != 66 {
		t.Errorf("two thirds of a large size are %d %%", got)
	}
}

func TestTimeText_HasAtMostTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 s", 59 * time.Second: "59 s", time.Minute: "1 min", 61 * time.Second: "1 min 1 s",
		time.Hour: "1 h", 2*time.Hour + 5*time.Minute + 9*time.Second: "2 h 5 min", 24 * time.Hour: "1 d", 75 * time.Hour: "3 d 3 h",
	} {
		if got := text.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for _, s := range []snapshot{
		{sent: 1, size: 1 << 62, rate: 1, measured: true}, // some billion years
		{sent: 1, size: 2, rate: 0, measured: true},
		{sent: 1, size: 2},
		{sent: 2, size: 2, rate: 1, measured: true},
		{sent: 1, size: -1, rate: 1, measured: true},
	} {
		if got := s.leftText(); got != "" {
			t.Errorf("%+v has %q", s, got)
		}
	}
}
