package progress

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
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

	mu  sync.Mutex
	now tus.BatchProgress
}

// startUploads starts a display of files.
func startUploads(o Options, files []file) *uploads {
	u := &uploads{files: files, items: map[int]*Item{}}
	u.now.Files = len(files)
	for _, f := range files {
		u.now.Total += max(0, f.size)
		u.now.TotalUnknown = u.now.TotalUnknown || f.size < 0
	}
	o.Totals = func() tus.BatchProgress {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.now
	}
	u.Display = New(o)
	return u
}

// change changes the progress of all files.
func (u *uploads) change(change func(now *tus.BatchProgress)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.now)
}

// rate sets the rate of all files.
func (u *uploads) rate(perSecond int64) {
	u.change(func(now *tus.BatchProgress) { now.Rate = perSecond })
}

func (u *uploads) item(n int) *Item {
	if u.items[n] == nil {
		u.items[n] = u.Start(u.files[n].name, u.files[n].size)
	}
	return u.items[n]
}

// update reports progress of a file, whose size may not have been known before.
func (u *uploads) update(n int, now tus.Progress) {
	i := u.item(n)
	if i.state == tus.StateIdle {
		i.Hooks().OnStateChange(nil, 0, tus.StateSending, nil)
	}
	before := *i
	i.moved(now)
	u.change(func(all *tus.BatchProgress) {
		all.Sent += i.sent - before.sent
		if before.size < 0 && i.size >= 0 {
			all.Total += i.size
			all.TotalUnknown = false
		}
	})
}

// finish reports the result of a file.
func (u *uploads) finish(n int, size int64, err error) {
	i := u.item(n)
	i.End()
	u.change(func(all *tus.BatchProgress) {
		all.TotalUnknown = all.TotalUnknown && i.size >= 0
		if err != nil {
			all.Failed++
			all.Total -= max(0, i.size) - i.sent
			return
		}
		all.Done++
		all.Sent += size - i.sent
		if i.size < 0 {
			all.Total += size
		}
	})
}

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
	got := printed(t, movie, func(p *uploads) {
		p.update(0, tus.Progress{Size: 64 * mib})
		p.rate(4 * mib)
		upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 5)
	})
	wantLines(t, got,
		"movie.mp4 12 % 8.0 of 64.0 MiB, 4.0 MiB/s, 14 s left",
		"movie.mp4 25 % 16.0 of 64.0 MiB, 4.0 MiB/s, 12 s left")
}

// A broken connection loses the bytes in flight.
func TestLine_LostBytesAreNotNegative(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		now := tus.Progress{Size: 64 * mib}
		p.update(0, now)
		now = upload(p, 0, now, 4*mib, 3)
		now.InFlight, now.Acknowledged = 0, mib
		p.update(0, now)
		upload(p, 0, now, mib/2, 4)
	})
	wantLines(t, got, "movie.mp4 12 % 8.0 of 64.0 MiB", "movie.mp4 2 % 1.5 of 64.0 MiB", "movie.mp4 3 % 2.5 of 64.0 MiB")
}

func TestLine_StalledLinkHasNoTimeLeft(t *testing.T) {
	got := printed(t, movie, func(p *uploads) {
		p.rate(4 * mib)
		p.update(0, tus.Progress{Size: 64 * mib})
		upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 3)
		time.Sleep(time.Hour)
	})
	if last := got[len(got)-1]; !regexp.MustCompile(`^movie\.mp4 18 % no data moved, [0-9]+ min, 12\.0 of 64\.0 MiB$`).MatchString(last) || len(got) > 2+3600/5 {
		t.Errorf("%d lines, the last is %q", len(got), last)
	}
}

func TestLine_NoneBeforeFirstUpload(t *testing.T) {
	got := printed(t, []file{{"1.bin", mib}, {"2.bin", mib}}, func(p *uploads) { time.Sleep(time.Minute) })
	wantLines(t, got, "")
}

func TestLine_UnknownSizeHasNoPercent(t *testing.T) {
	files := []file{{name: "stdin", size: -1}}
	got := printed(t, files, func(p *uploads) {
		p.rate(4 * mib)
		now := tus.Progress{SizeUnknown: true}
		p.update(0, now)
		now = upload(p, 0, now, 4*mib, 3)
		now.SizeUnknown, now.Size = false, 32*mib
		upload(p, 0, now, 4*mib, 2)
	})
	wantLines(t, got, "stdin 8.0 MiB, 4.0 MiB/s", "stdin 50 % 16.0 of 32.0 MiB, 4.0 MiB/s, 4 s left")
}

func TestLine_NamesFilesInFlight(t *testing.T) {
	files := []file{{name: "a/1.bin", size: 10 * mib}, {name: "b/2.bin", size: 30 * mib}, {name: "stdin", size: -1},
		{name: "4.bin", size: 20 * mib}, {name: "5.bin", size: 0}}
	got := printed(t, files, func(p *uploads) {
		start := func(n int, sent int64) { p.update(n, tus.Progress{InFlight: sent, Size: files[n].size}) }
		start(1, 3*mib)
		p.update(2, tus.Progress{SizeUnknown: true, InFlight: 5 * mib})
		time.Sleep(2100 * time.Millisecond)
		start(0, 2*mib)
		start(3, 2*mib)
		p.finish(4, 0, nil)
		start(1, 6*mib)
		time.Sleep(2 * time.Second)
		p.finish(2, 5*mib, nil)
		p.finish(1, 30*mib, errors.New("no"))
		start(0, 3*mib)
		start(3, 3*mib)
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got,
		"0/5 files 8.0 MiB; 2.bin 10 % 3.0 of 30.0 MiB; stdin 5.0 MiB",
		"1/5 files 15.0 MiB; stdin no data moved, 4 s, 5.0 MiB; 2.bin 20 % 6.0 of 30.0 MiB; 1.bin 20 % 2.0 of 10.0 MiB; 4.bin 10 % 2.0 of 20.0 MiB",
		"2/5 files 41 % 1 failed, 17.0 of 41.0 MiB; 1.bin 30 % 3.0 of 10.0 MiB; 4.bin 15 % 3.0 of 20.0 MiB")
}

// A line has the reasons of the files that wait before those that move.
func TestLine_OfManyFilesIsShort(t *testing.T) {
	var files []file
	for n := range 100 {
		files = append(files, file{fmt.Sprintf("%d.bin", n), mib})
	}
	got := printed(t, files, func(p *uploads) {
		for n := range files {
			p.update(n, tus.Progress{InFlight: mib / 2, Size: mib})
		}
		p.item(99).Hooks().OnRetry(nil, tus.Retry{Attempt: 2, Delay: 4 * time.Second, Err: errRefused})
		time.Sleep(1500 * time.Millisecond)
	})
	if len(got) != 1 || !strings.HasPrefix(got[0], "0/100 files 50 % 50.0 of 100.0 MiB; 99.bin 50 % connection refused, retry 2 in 3 s, 512.0 KiB of 1.0 MiB; 0.bin 50 % 512.0 KiB of 1.0 MiB; 1.bin 50 %") || len(got[0]) > maxLine {
		t.Errorf("lines are %q", got)
	}
}

func TestLine_BetweenFilesHasTotals(t *testing.T) {
	files := []file{{name: "1.bin", size: 8 * mib}, {name: "2.bin", size: 8 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.rate(4 * mib)
		p.update(0, tus.Progress{InFlight: mib, Size: 8 * mib})
		time.Sleep(time.Second)
		p.finish(0, 8*mib, nil)
		time.Sleep(2 * time.Second)
	})
	wantLines(t, got, "1/2 files 50 % 4.0 MiB/s, 2 s left, 8.0 of 16.0 MiB")
}

func TestLine_SamePathTwiceCountsTwice(t *testing.T) {
	files := []file{{name: "1.bin", size: 10 * mib}, {name: "1.bin", size: 10 * mib}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{InFlight: 4 * mib, Size: 10 * mib})
		p.update(1, tus.Progress{InFlight: mib, Size: 10 * mib})
		time.Sleep(2100 * time.Millisecond)
	})
	wantLines(t, got, "0/2 files 25 % 5.0 of 20.0 MiB; 1.bin 40 % 4.0 of 10.0 MiB; 1.bin 10 % 1.0 of 10.0 MiB")
}

func TestLine_EmptyFiles(t *testing.T) {
	files := []file{{name: "1.bin"}, {name: "2.bin"}}
	got := printed(t, files, func(p *uploads) {
		p.update(0, tus.Progress{})
		time.Sleep(2100 * time.Millisecond)
	})
	wantLines(t, got, "0/2 files 0 of 0 B; 1.bin 0 of 0 B")
}

func TestPercent_IsAtMost99(t *testing.T) {
	if got := (row{sent: mib, size: mib}).percent(); got != "99 %" {
		t.Errorf("all bytes sent is %s", got)
	}
	for sent := range int64(100) {
		if got := (row{sent: sent, size: 100}).percent(); got != fmt.Sprintf("%d %%", sent) {
			t.Errorf("%d of 100 is %s", sent, got)
		}
	}
	if got := (row{sent: 1 << 62, size: 1<<62 + 1<<61}).percent(); got != "66 %" {
		t.Errorf("two thirds of a large size are %s", got)
	}
}

func TestTimeText_HasOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Second: "1 s", 99*time.Second + 999*time.Millisecond: "99 s", 100 * time.Second: "2 min", 94*time.Minute + 30*time.Second: "95 min",
		100 * time.Minute: "2 h", 75 * time.Hour: "75 h", 100 * time.Hour: "4 d", 1000 * 24 * time.Hour: "1000 d",
	} {
		if got := text.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestTimeLeft_IsShownIfKnown(t *testing.T) {
	for want, p := range map[string]tus.BatchProgress{
		"1 B/s 1 s left":     {Sent: 1, Total: 2, Rate: 1},
		"1 B/s 53376 d left": {Sent: 1, Total: 1 << 62, Rate: 1}, // in fact some billion years
		"":                   {Sent: 1, Total: 2, Rate: 0},
		"1 B/s":              {Sent: 2, Total: 2, Rate: 1},
		"2 B/s":              {Sent: 1, TotalUnknown: true, Rate: 2},
	} {
		if got := strings.Join(speedTexts(p), " "); got != want {
			t.Errorf("%+v has %q, want %q", p, got, want)
		}
	}
}
