package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// terminal emulates the features of a terminal that the bar uses.
type terminal struct {
	width  int
	rows   [][]rune
	column int
}

func newTerminal(width int) *terminal {
	return &terminal{width: width, rows: [][]rune{{}}}
}

func (t *terminal) columns() int { return t.width }

func (t *terminal) row() *[]rune { return &t.rows[len(t.rows)-1] }

// Write supports the control characters and sequences of the bar.
func (t *terminal) Write(data []byte) (int, error) {
	text := strings.ReplaceAll(string(data), "\x1b[0K", "\x00")
	for _, r := range text {
		row := t.row()
		switch {
		case r == '\r':
			t.column = 0
		case r == '\n':
			t.rows = append(t.rows, nil)
			t.column = 0
		case r == 0:
			*row = (*row)[:min(t.column, len(*row))]
		case r < ' ':
			return 0, fmt.Errorf("control character %q in %q", r, data)
		default:
			wide := columns(string(r))
			if wide == 0 { // part of the previous character
				continue
			}
			if t.column+wide > t.width { // wraps
				t.rows = append(t.rows, nil)
				row, t.column = t.row(), 0
			}
			for len(*row) < t.column+wide {
				*row = append(*row, 0)
			}
			(*row)[t.column] = r
			clear((*row)[t.column+1 : t.column+wide])
			t.column += wide
		}
	}
	return len(data), nil
}

// text returns the row of the cursor.
func (t *terminal) text() string {
	return strings.TrimRight(strings.ReplaceAll(string(*t.row()), "\x00", ""), " ")
}

// drawn returns the row that a new bar draws for s.
func drawn(t *testing.T, width int, s snapshot) string {
	t.Helper()
	term := newTerminal(width)
	files := make([]file, s.files)
	if s.size < 0 {
		files[0].size = -1
	}
	newBar(term, term.columns, files).show(s)
	if len(term.rows) != 1 {
		t.Errorf("with %d columns it takes %d rows: %+v", width, len(term.rows), s)
	}
	// The terminal prints ^C at the cursor.
	if term.column > width-len("^C") {
		t.Errorf("with %d columns the cursor is at %d: %+v", width, term.column, s)
	}
	return term.text()
}

// oneFile and threeFiles return snapshots.
func oneFile(name string) snapshot {
	f := fileProgress{name: name, sent: 12 * mib, size: 64 * mib}
	return snapshot{files: 1, sent: f.sent, size: f.size, rate: 4.1 * mib, measured: true, active: []fileProgress{f}}
}

func threeFiles(name string) snapshot {
	s := oneFile(name)
	s.files, s.done, s.size = 3, 1, 192*mib
	return s
}

func TestBar_FitsTerminal(t *testing.T) {
	unmeasured, nothing, stream := oneFile("movie.mp4"), oneFile("movie.mp4"), oneFile("movie.mp4")
	unmeasured.measured = false
	nothing.active = nil
	stream.size, stream.active[0].size = -1, -1
	for _, test := range []struct {
		width int
		s     snapshot
		want  string
	}{
		{120, oneFile("movie.mp4"), "movie.mp4  18% |██████████                                                 | 12.0 of 64.0 MiB, 4.1 MiB/s, 13 s left"},
		{80, oneFile("movie.mp4"), "movie.mp4  18% |███                | 12.0 of 64.0 MiB, 4.1 MiB/s, 13 s left"},
		{60, oneFile("movie.mp4"), "movie.mp4  18% |█         | 12.0 of 64.0 MiB, 13 s left"},
		{40, oneFile("movie.mp4"), "  18% |█         | 12.0 of 64.0 MiB"},
		{80, oneFile("a-very-long-name-of-a-movie.mp4"), "a-very-long-name-of-…  18% |█      | 12.0 of 64.0 MiB, 4.1 MiB/s, 13 s left"},
		{80, threeFiles("movie.mp4"), "1/3 movie.mp4 (18%)   6% |        | 12.0 of 192.0 MiB, 4.1 MiB/s, 44 s left"},
		{40, threeFiles("movie.mp4"), "1/3   6% |      | 12.0 of 192.0 MiB"},
		{24, threeFiles("movie.mp4"), "1/3   6% |        |"},
		{80, unmeasured, "movie.mp4  18% |███████                                  | 12.0 of 64.0 MiB"},
		{80, nothing, "  18% |█████                       | 12.0 of 64.0 MiB, 4.1 MiB/s, 13 s left"},
		{80, stream, "| movie.mp4 12.0 MiB, 4.1 MiB/s"},
		{40, stream, "| movie.mp4 12.0 MiB, 4.1 MiB/s"},
	} {
		if got := drawn(t, test.width, test.s); got != test.want {
			t.Errorf("with %d columns the row is\n%s\nwant\n%s", test.width, got, test.want)
		}
	}
}

// With any names and figures, the bar fits into its row. It shows percent and bytes with
// 40 columns or more.
func TestBar_NeverWraps(t *testing.T) {
	names := []string{"x", "a-name-that-is-longer-than-its-space.bin", "日本語の長い名前の動画.mp4", "a日b本c語d長e名f前.bin",
		"\x1b[31mred\x1b[2J\r\n", "🇩🇪👍🏽👩‍👩‍👧.bin", "e\u0301\u0301\u0301.bin", "\u202egpj.exe", "\xff\xfe.bin", "[red]%d%s.bin"}
	figures := [][2]int64{{0, 1}, {999, 1000}, {1023 << 10, 1023 << 30}, {1 << 50, 1<<60 - 1}, {5, -1}, {1<<60 - 1, -1}, {0, 0}, {2, 1}}
	for width := 16; width < 160; width++ {
		for i, name := range names {
			for _, figure := range figures {
				for _, s := range []snapshot{oneFile(name), threeFiles(name)} {
					s.sent, s.size = figure[0], figure[1]
					s.rate = float64(int64(1) << (i * 3))
					row := drawn(t, width, s)
					if width < 40 {
						continue
					}
					if s.size > 0 && !strings.Contains(row, fmt.Sprintf("%d%% |", percent(s.sent, s.size))) || !strings.Contains(row, s.shortBytes()) {
						t.Errorf("with %d columns percent or bytes are missing: %s", width, row)
					}
				}
			}
		}
	}
}

// The library removes a bar that is full. After all bytes are sent, some may be lost.
func TestBar_StaysWhenFull(t *testing.T) {
	term := newTerminal(40)
	b := newBar(term, term.columns, make([]file, 1))
	s := oneFile("movie.mp4")
	for _, step := range []struct {
		sent int64
		want string
	}{{s.size, "  99% |█████████ | 64.0 of 64.0 MiB"}, {s.size / 2, "  50% |█████     | 32.0 of 64.0 MiB"}, {s.size, "  99% |█████████ | 64.0 of 64.0 MiB"}} {
		s.sent = step.sent
		b.show(s)
		if got := term.text(); got != step.want {
			t.Errorf("the row is\n%s\nwant\n%s", got, step.want)
		}
	}
}

func TestBar_ShowsEachPercent(t *testing.T) {
	term := newTerminal(40)
	b := newBar(term, term.columns, make([]file, 1))
	s := oneFile("movie.mp4")
	s.size = 100
	for s.sent = range 100 {
		b.show(s)
		if got := term.text(); !strings.Contains(got, fmt.Sprintf(" %d%% |", s.sent)) {
			t.Errorf("%d of 100 is %s", s.sent, got)
		}
	}
}

func TestBar_FollowsWidth(t *testing.T) {
	term := newTerminal(80)
	b := newBar(term, term.columns, make([]file, 1))
	b.show(oneFile("movie.mp4"))
	term.width = 120
	b.show(oneFile("movie.mp4"))
	wide := term.text()
	b.hide()
	if got := term.text(); got != "" || columns(wide) < 100 {
		t.Errorf("the row was %q, after hide it is %q", wide, got)
	}
}

func TestBar_IsHiddenForLines(t *testing.T) {
	for _, f := range []file{{path: "movie.mp4", size: 64 * mib}, {stdin: true, size: -1}} {
		term := newTerminal(40)
		synctest.Test(t, func(t *testing.T) {
			p := startProgress([]file{f}, newBar(term, term.columns, []file{f}))
			p.withoutDisplay(func() { io.WriteString(term, "early\n") })
			p.update(f, tus.Progress{InFlight: 12 * mib, Size: 64 * mib, SizeUnknown: f.stdin})
			time.Sleep(3 * barInterval / 2)
			synctest.Wait()
			if text := term.text(); !strings.Contains(text, "12.0 ") {
				t.Errorf("the bar is %q", text)
			}
			p.withoutDisplay(func() { io.WriteString(term, "tusup: something\n") })
			if text := term.text(); !strings.Contains(text, "12.0 ") {
				t.Errorf("after the line, the bar is %q", text)
			}
			p.close()
			p.withoutDisplay(func() { io.WriteString(term, "late") })
			time.Sleep(time.Minute)
		})
		var rows []string
		for _, row := range term.rows {
			rows = append(rows, strings.TrimRight(string(row), " "))
		}
		if got := strings.Join(rows, "|"); got != "early|tusup: something|late" {
			t.Errorf("rows are %s", got)
		}
	}
}

func TestProgress_BlockedTerminalDoesNotBlockUpload(t *testing.T) {
	f := file{path: "movie.mp4", size: 64 * mib}
	synctest.Test(t, func(t *testing.T) {
		p := startProgress([]file{f}, &plainLines{w: new(bytes.Buffer)})
		release := make(chan struct{})
		blocked := make(chan struct{})
		go p.withoutDisplay(func() { close(blocked); <-release })
		<-blocked
		p.update(f, tus.Progress{InFlight: mib, Size: 64 * mib})
		p.finish(f, &tus.Result{Size: 64 * mib}, nil)
		close(release)
		p.close()
	})
}
