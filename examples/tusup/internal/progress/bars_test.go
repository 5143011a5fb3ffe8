package progress

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/charmbracelet/x/vt"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
)

// terminal is an emulated terminal.
type terminal struct {
	*vt.Emulator
	mu            sync.Mutex
	columns, rows int
}

func newTerminal(columns, rows int) *terminal {
	return &terminal{Emulator: vt.NewEmulator(columns, rows), columns: columns, rows: rows}
}

func (t *terminal) size() (columns, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.columns, t.rows
}

// Write shows data. The kernel adds the carriage returns of a real terminal.
func (t *terminal) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := t.Emulator.Write([]byte(strings.ReplaceAll(string(data), "\n", "\r\n")))
	return len(data), err
}

func (t *terminal) resize(columns, rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.columns, t.rows = columns, rows
	t.Resize(columns, rows)
}

// text returns the rows above the cursor, without spaces at their ends, and those that were
// scrolled away.
func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rows []string
	for y := range t.ScrollbackLen() {
		var b strings.Builder
		for x := range t.columns {
			if c := t.ScrollbackCellAt(x, y); c != nil {
				b.WriteString(c.Content)
			}
		}
		rows = append(rows, strings.TrimRight(b.String(), " "))
	}
	for _, row := range strings.Split(t.String(), "\n") {
		rows = append(rows, strings.TrimRight(row, " \r"))
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// show runs uploads in fake time on a terminal, which is empty when they end.
func show(t *testing.T, term *terminal, files []file, run func(t *testing.T, p *uploads)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := startUploads(Options{Mode: Bar, Output: term, Size: term.size}, files)
		defer p.Close()
		run(t, p)
	})
}

// nextFrame waits until the current progress is drawn.
func nextFrame() {
	time.Sleep(3 * interval / 2)
	synctest.Wait()
}

func wantScreen(t *testing.T, term *terminal, want ...string) {
	t.Helper()
	if got := term.text(); got != strings.Join(want, "\n") {
		t.Errorf("with %d columns the screen is\n%s\nwant\n%s", term.columns, got, strings.Join(want, "\n"))
	}
}

var movie = []file{{"movie.mp4", 64 * mib}}

func TestBars_OneFileHasOneRow(t *testing.T) {
	for width, want := range map[int]string{
		200: "movie.mp4 18 % 12.0 of 64.0 MiB, 3.8 MiB/s, 14 s left [X]",
		80:  "movie.mp4 18 % 12.0 of 64.0 MiB, 3.8 MiB/s, 14 s left [====                   ]",
		60:  "movie.mp4 18 % 12.0 of 64.0 MiB, 3.8 MiB/s, 14 s left",
		40:  "movie.mp4 18 % 12.0 of 64.0 MiB [=    ]",
		24:  "… 18 % 12.0 of 64.0 MiB",
	} {
		term := newTerminal(width, 10)
		show(t, term, movie, func(t *testing.T, p *uploads) {
			p.rate(38 * mib / 10)
			p.update(0, tus.Progress{Size: 64 * mib})
			upload(p, 0, tus.Progress{Size: 64 * mib}, 4*mib, 3)
			nextFrame()
			wantScreen(t, term, strings.Replace(want, "X", strings.Repeat("=", 27)+strings.Repeat(" ", 116), 1))
		})
		wantScreen(t, term, "")
	}
}

func TestBars_SeveralFilesHaveTotal(t *testing.T) {
	files := []file{{"a/1.bin", 10 * mib}, {"日本語の長い名前の動画です.mp4", 30 * mib}, {"stdin", -1}, {"4.bin", mib}, {"5.bin", 5 * mib}}
	for width, want := range map[int][]string{
		80: {
			"1.bin               10 %  1.0 of 10.0 MiB [====                               ]",
			"日本語の長い名前の… 66 % 20.0 of 30.0 MiB [=======================            ]",
			"stdin                            20.0 MiB",
			"5.bin                0 % connection refused, retry 4 in 4 s, 0 B of 5.0 MiB",
			"1/5 files                34.2 MiB/s, 42.0 MiB",
		},
		40: {
			"1.bin     10 %  1.0 of 10.0 MiB [=    ]",
			"日本語の… 66 % 20.0 of 30.0 MiB [===  ]",
			"stdin                  20.0 MiB",
			"5.bin      0 % connection refused, 4 s",
			"1/5 files      34.2 MiB/s, 42.0 MiB",
		},
	} {
		term := newTerminal(width, 10)
		show(t, term, files, func(t *testing.T, p *uploads) {
			p.rate(342 * mib / 10)
			p.update(0, tus.Progress{InFlight: mib, Size: 10 * mib})
			p.update(1, tus.Progress{InFlight: 20 * mib, Size: 30 * mib})
			p.update(2, tus.Progress{InFlight: 20 * mib, SizeUnknown: true})
			p.update(3, tus.Progress{})
			p.finish(3, mib, nil)
			p.item(4).Hooks().OnRetry(nil, tus.Retry{Attempt: 4, Delay: 5 * time.Second, Err: syscall.ECONNREFUSED})
			time.Sleep(time.Second)
			nextFrame()
			wantScreen(t, term, want...)
		})
		wantScreen(t, term, "")
	}
}

// With any names and figures, a row fits. It shows percent and bytes with 40 columns or
// more, and while it waits percent and the reason; that of all files shows rate and time
// left.
func TestBars_NeverWrap(t *testing.T) {
	names := []string{"x", "a-name-that-is-longer-than-its-space.bin", "日本語の長い名前の動画.mp4", "a日b本c語d長e名f前.bin",
		"\x1b[31mred\x1b[2J\r\n", "🇩🇪👍🏽👩‍👩‍👧.bin", "❤️❤️❤️❤️❤️❤️❤️❤️.bin", "e\u0301\u0301\u0301.bin", "\u202egpj.exe", "\xff\xfe.bin", "[red]%d%s.bin"}
	figures := [][2]int64{{0, 1}, {999, 1000}, {1023 << 10, 1023 << 30}, {1 << 50, 1<<60 - 1}, {5, -1}, {1<<60 - 1, -1}, {0, 0}, {2, 1}}
	now := time.Now()
	for width := 1; width < 160; width++ {
		for n, name := range names {
			for _, figure := range figures {
				for _, files := range []int{1, 3, 10_000} {
					totals := tus.BatchProgress{Files: files, Done: files - 1, Sent: figure[0], Total: figure[1], Rate: int64(1) << (n * 3)}
					d := &Display{totals: func() tus.BatchProgress { return totals }}
					moving, waiting := d.Start(name, figure[1]), d.Start(name, figure[1])
					for _, i := range d.active {
						i.sent, i.state, i.since = figure[0], tus.StateSending, now
					}
					waiting.wait = wait{"connection refused", 4, now.Add(4 * time.Second)}
					rows := layout(d.rows(now), width)
					for _, row := range rows {
						if text.Columns(row) > width || strings.ContainsFunc(row, unicode.IsControl) {
							t.Fatalf("with %d columns the row has %d: %q", width, text.Columns(row), row)
						}
					}
					if width < 39 { // of 40
						continue
					}
					percent := row{sent: moving.sent, size: moving.size}.percent()
					wants := [][]string{{percent, bytesText(moving.sent, moving.size)}, {percent, "connection refused", "4 s"}}
					if files > 1 {
						wants = append(wants, []string{percent, fmt.Sprintf("%d/%d", files-1, files), "/s"})
						if files > 1000 && width < 44 {
							wants[2][1] = "9999/10"
						}
						if left := totals.Remaining(); left > 0 && left < 1000*24*time.Hour {
							wants[2] = append(wants[2], " left")
						}
					}
					if len(rows) != len(wants) {
						t.Fatalf("rows are %q", rows)
					}
					for i, row := range rows {
						for _, want := range wants[i] {
							if !strings.Contains(row, want) {
								t.Errorf("with %d columns %q is missing: %s", width, want, row)
							}
						}
					}
				}
			}
		}
	}
}

// The library ends a bar that is full. After all bytes are sent, some may be lost.
func TestBars_StayWhenFull(t *testing.T) {
	term := newTerminal(40, 10)
	show(t, term, movie, func(t *testing.T, p *uploads) {
		for _, step := range []struct {
			sent int64
			want string
		}{
			{64 * mib, "movie.mp4 99 % 64.0 of 64.0 MiB [=====]"},
			{32 * mib, "movie.mp4 50 % 32.0 of 64.0 MiB [===  ]"},
			{64 * mib, "movie.mp4 99 % 64.0 of 64.0 MiB [=====]"},
		} {
			p.update(0, tus.Progress{InFlight: step.sent, Size: 64 * mib})
			nextFrame()
			wantScreen(t, term, step.want)
		}
	})
}

func TestBars_ResizeIsFollowed(t *testing.T) {
	files := []file{{"1.bin", 10 * mib}, {"2.bin", 10 * mib}}
	term := newTerminal(120, 10)
	show(t, term, files, func(t *testing.T, p *uploads) {
		p.update(0, tus.Progress{InFlight: mib, Size: 10 * mib})
		p.update(1, tus.Progress{InFlight: mib, Size: 10 * mib})
		for _, width := range []int{120, 40, 80, 41, 200} {
			term.resize(width, 10)
			nextFrame()
			rows := strings.Split(term.text(), "\n")
			if len(rows) != 3 || !strings.Contains(rows[0], "1.0 of 10.0 MiB") || text.Columns(rows[0]) != width-1 {
				t.Errorf("with %d columns the screen is\n%s", width, term.text())
			}
		}
	})
	wantScreen(t, term, "")
}

func TestBars_LinesArePrintedAbove(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, []file{{"1.bin", mib}, {"2.bin", mib}}, func(t *testing.T, p *uploads) {
		above := p.Above(term)
		io.WriteString(above, "early\n")
		p.update(0, tus.Progress{InFlight: mib / 2, Size: mib})
		p.update(1, tus.Progress{Size: mib})
		nextFrame()
		io.WriteString(above, "tusup: something\n")
		io.WriteString(term, "^C") // of the kernel, at the cursor
		io.WriteString(above, strings.Repeat("long ", 18)+"\n")
		p.finish(0, mib, nil)
		nextFrame()
		wantScreen(t, term, "early", "tusup: something", strings.TrimSpace(strings.Repeat("long ", 16)), "long long",
			"2.bin      0 % 0 B of 1.0 MiB ["+strings.Repeat(" ", 47)+"]", "1/2 files 50 % 1.0 of 2.0 MiB ["+strings.Repeat("=", 24)+strings.Repeat(" ", 23)+"]")
		io.WriteString(above, "last\n")
		p.Close()
		io.WriteString(above, "late\n")
	})
	wantScreen(t, term, "early", "tusup: something", strings.TrimSpace(strings.Repeat("long ", 16)), "long long", "last", "late")
}

// mpb counts too few rows if there are more bars than rows, and then leaves some of them.
func TestBars_MoreFilesThanRows(t *testing.T) {
	var files []file
	for i := range 12 {
		files = append(files, file{fmt.Sprintf("%d.bin", i), mib})
	}
	term := newTerminal(40, 5)
	show(t, term, files, func(t *testing.T, p *uploads) {
		for i := range files {
			p.update(i, tus.Progress{Size: mib})
			nextFrame()
		}
		p.finish(11, mib, nil)
		nextFrame()
		nextFrame()
		wantScreen(t, term, "8.bin      0 % 0 B of 1.0 MiB [       ]", "9.bin      0 % 0 B of 1.0 MiB [       ]",
			"10.bin     0 % 0 B of 1.0 MiB [       ]", "1/12       8 % 1.0 of 12.0 MiB [=     ]")
	})
	wantScreen(t, term, "")
}

func TestBars_ManyFilesUseLittleMemory(t *testing.T) {
	term := newTerminal(80, 24)
	files := slices.Repeat([]file{{"x.bin", mib}}, 10_000)
	show(t, term, files, func(t *testing.T, p *uploads) {
		started := runtime.NumGoroutine()
		for i := range files {
			p.update(i, tus.Progress{InFlight: mib / 2, Size: mib})
			if i >= 4 {
				p.finish(i-4, mib, nil)
			}
			time.Sleep(interval / 4)
		}
		synctest.Wait()
		p.bars.mu.Lock()
		rows := len(p.bars.rows)
		p.bars.mu.Unlock()
		if now := runtime.NumGoroutine(); rows > 5 || len(p.active) > 4 || now > started+20 {
			t.Errorf("%d rows, %d files in flight, %d goroutines, before them %d", rows, len(p.active), now, started)
		}
		if got := term.text(); !strings.Contains(got, "9996/10000 files") {
			t.Errorf("the screen is\n%s", got)
		}
	})
	wantScreen(t, term, "")
}

func TestBars_EndedFileHasNoRow(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, []file{{"1.bin", mib}, {"2.bin", mib}}, func(t *testing.T, p *uploads) {
		p.update(0, tus.Progress{Size: mib})
		time.Sleep(interval / 2)
		for range 2 {
			time.Sleep(interval)
			synctest.Wait()
			p.finish(0, mib, nil)
		}
		wantScreen(t, term, "1/2 files 50 % 1.0 of 2.0 MiB ["+strings.Repeat("=", 24)+strings.Repeat(" ", 23)+"]")
	})
}

// A terminal needs only the codes that move the cursor and erase.
func TestBars_HaveNoColors(t *testing.T) {
	var output strings.Builder
	synctest.Test(t, func(t *testing.T) {
		p := startUploads(Options{Mode: Bar, Output: &output}, movie)
		p.update(0, tus.Progress{Size: 64 * mib})
		upload(p, 0, tus.Progress{Size: 64 * mib}, mib, 3)
		p.Close()
	})
	codes := regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]").FindAllString(output.String(), -1)
	slices.Sort(codes)
	if got := slices.Compact(codes); !slices.Equal(got, []string{"\x1b[1A", "\x1b[J"}) {
		t.Errorf("codes are %q", got)
	}
}

func TestBars_RetryCountsDown(t *testing.T) {
	term := newTerminal(80, 10)
	show(t, term, movie, func(t *testing.T, p *uploads) {
		p.update(0, tus.Progress{InFlight: 12 * mib, Size: 64 * mib})
		p.item(0).Hooks().OnRetry(nil, tus.Retry{Attempt: 4, Delay: 4 * time.Second, Err: syscall.ECONNREFUSED})
		for _, want := range []string{"in 4 s", "in 3 s", "in 2 s", "in 1 s"} {
			nextFrame()
			wantScreen(t, term, "movie.mp4 18 % connection refused, retry 4 "+want+", 12.0 of 64.0 MiB")
			time.Sleep(time.Second - 3*interval/2)
		}
		time.Sleep(3 * time.Second)
		nextFrame()
		wantScreen(t, term, "movie.mp4 18 % connection refused, retry 4 running for 3 s, 12.0 of 64.0 MiB")
		p.update(0, tus.Progress{InFlight: 16 * mib, Size: 64 * mib})
		nextFrame()
		if got := term.text(); strings.Contains(got, "refused") {
			t.Errorf("after bytes moved, the screen is\n%s", got)
		}
	})
}

// failingTerminal fails after the first write.
type failingTerminal struct {
	io.Writer
	writes int
}

func (f *failingTerminal) Write(data []byte) (int, error) {
	if f.writes++; f.writes > 1 {
		return 0, syscall.EIO
	}
	return f.Writer.Write(data)
}

func TestBars_FailedTerminalDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startUploads(Options{Mode: Bar, Output: &failingTerminal{Writer: io.Discard}}, []file{{"1.bin", mib}, {"2.bin", mib}})
		p.update(0, tus.Progress{Size: mib})
		time.Sleep(time.Second)
		p.update(1, tus.Progress{Size: mib})
		time.Sleep(time.Second)
		p.finish(0, mib, nil)
		if _, err := io.WriteString(p.Above(p.bars.terminal), "line\n"); err != syscall.EIO {
			t.Errorf("error is %v", err)
		}
		time.Sleep(time.Second)
		p.Close()
	})
}

// blockedTerminal is a terminal that was stopped with ^S.
type blockedTerminal chan struct{}

func (b blockedTerminal) Write(data []byte) (int, error) {
	<-b
	return len(data), nil
}

func TestDisplay_BlockedTerminalDoesNotBlockUpload(t *testing.T) {
	for _, mode := range []Mode{Bar, Plain} {
		synctest.Test(t, func(t *testing.T) {
			release := make(blockedTerminal)
			p := startUploads(Options{Mode: mode, Output: release}, []file{{"1.bin", mib}, {"2.bin", mib}})
			p.update(0, tus.Progress{Size: mib})
			time.Sleep(time.Minute)
			p.update(1, tus.Progress{InFlight: mib, Size: mib})
			p.item(1).Hooks().OnRetry(nil, tus.Retry{Attempt: 1, Err: syscall.ECONNREFUSED})
			p.finish(0, mib, nil)
			time.Sleep(time.Minute)
			close(release)
			p.Close()
		})
	}
}

func TestDisplay_NoneShowsNothing(t *testing.T) {
	var output strings.Builder
	d := New(Options{Mode: None, Output: &output})
	i := d.Start("1.bin", mib)
	i.Hooks().OnProgress(nil, tus.Progress{Size: mib})
	i.End()
	io.WriteString(d.Above(&output), "line\n")
	d.Close()
	io.WriteString((*Display)(nil).Above(&output), "other line\n")
	if output.String() != "line\nother line\n" {
		t.Errorf("output is %q", output.String())
	}
}
