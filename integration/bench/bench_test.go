package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The clients and servers are further copies of this test's program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleServe, roleMeasure, roleUpload, roleProbe:
			main()
			return
		case roleNetwork:
			sayNetwork()
			return
		}
	}
	// With the race detector, each of the many processes would sleep before it ends.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// roleNetwork is a test's: what is the network of such a process?
const roleNetwork = "network"

func sayNetwork() {
	if err := settleNetwork(); err != nil {
		fmt.Println(err)
		return
	}
	namespace, _ := os.Readlink("/proc/self/ns/net")
	fmt.Println(namespace)
	fmt.Println(networkText())
}

func TestNetworkIsItsOwn(t *testing.T) {
	if err := probeNetwork(t.Context()); err != nil {
		t.Skipf("this machine allows none: %v", err) // bench then runs without, and says so
	}
	before := networkText()
	cmd, err := copyInNetwork(t.Context(), roleNetwork)
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	namespace, text, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil || namespace == own || !strings.HasPrefix(namespace, "net:") {
		t.Errorf("it is %q, ours is %q, %v", namespace, own, err)
	}
	if !strings.HasSuffix(text, " cubic") && !strings.HasSuffix(text, " reno") {
		t.Errorf("connections there are %q", text)
	}
	if after := networkText(); after != before {
		t.Errorf("ours were %q, and are %q", before, after)
	}
}

// small is one of each kind of workload, over in a moment.
func small() []workload {
	return []workload{
		{id: "whole-sink", server: toSink, size: 3*mib + 1},
		{id: "chunks-tusd", server: toTusd, size: 3*mib + 1, chunk: mib},
		{id: "sha1-sink", server: toSink, size: 3*mib + 1, chunk: mib, sha1: true},
		{id: "small-sink", server: toSink, size: 4 * kib, files: 20},
		{id: "small-tusd", server: toTusd, size: 4 * kib, files: 20},
		{id: "shaped-tusd", server: toTusd, size: 12 * mib, parts: 2, link: link{Rate: 1 << 30}, sideBySide: true},
		{id: "cut-tusd", server: toTusd, size: 9 * mib, link: link{CutEvery: 4 * mib}},
	}
}

func TestEveryClientUploadsEveryWorkload(t *testing.T) {
	dir := t.TempDir()
	for _, w := range small() {
		t.Run(w.id, func(t *testing.T) {
			r, err := runContest(t.Context(), w, ourClients(), dir, options{runs: 2})
			if err != nil {
				t.Fatal(err)
			}
			want := len(ourClients())
			if w.parts > 0 {
				want += 2
			}
			if len(r.rows) != want {
				t.Errorf("%d rows", len(r.rows))
			}
			for _, row := range r.rows {
				if row.failure != nil || row.wallRatio <= 0 || row.cpu <= 0 || row.requests < 1 {
					t.Errorf("row is %+v", row)
				}
			}
		})
		if left, err := filesIn(dir); err != nil || len(left) > 0 {
			t.Errorf("%s left %v, %v", w.id, left, err)
		}
	}
}

func TestStoredBytesAreCompared(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := makeFile(source, 3*mib); err != nil {
		t.Fatal(err)
	}
	c := &contest{workload: workload{server: toTusd, size: 3 * mib}, source: source, dir: filepath.Join(dir, "contest")}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer c.end()
	if err := c.begin(ourClients()[:1], ""); err != nil {
		t.Fatal(err)
	}
	e := c.contenders[0]
	if _, err := measure(t.Context(), e.client.command(e.task)); err != nil {
		t.Fatal(err)
	}
	if err := compare(source, e.store); err != nil {
		t.Errorf("the same bytes: %v", err)
	}
	uploads, err := stored(e.store)
	if err != nil || len(uploads) != 1 {
		t.Fatal(uploads, err)
	}
	f, err := os.OpenFile(uploads[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("other"), 2*mib-5); err != nil {
		t.Fatal(err)
	}
	if err := compare(source, e.store); !errors.Is(err, errOtherBytes) {
		t.Errorf("another byte: %v", err)
	}
}

func TestSinkRefusesAWrongChecksum(t *testing.T) {
	dir := t.TempDir()
	source, other := filepath.Join(dir, "source"), filepath.Join(dir, "other")
	if err := makeFile(source, mib); err != nil {
		t.Fatal(err)
	}
	if err := makeFile(other, 2*mib); err != nil { // begins as source does
		t.Fatal(err)
	}
	s, err := startServer(serverConfig{File: source, Chunk: mib})
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	for _, c := range ourClients() {
		right := task{Endpoint: s.endpoint, File: source, Size: mib, Chunk: mib, SHA1: true}
		if _, err := measure(t.Context(), c.command(right)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		wrong := right
		wrong.File, wrong.Size = other, 2*mib
		if _, err := measure(t.Context(), c.command(wrong)); err == nil {
			t.Errorf("%s got through with a chunk too many", c.name)
		}
	}
}

func TestClientThatFailsLeavesTheOthers(t *testing.T) {
	dir := t.TempDir()
	broken := client{name: nameCurl, can: always, command: played("nobody")}
	r, err := runContest(t.Context(), workload{id: "whole-sink", server: toSink, size: mib}, append(ourClients(), broken), dir, options{runs: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.rows {
		if failed := row.failure != nil; failed != (row.name == nameCurl) {
			t.Errorf("%s: %v", row.name, row.failure)
		}
	}
}

func TestMeasuringEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &contest{workload: workload{server: toSink, size: 64 * mib, link: link{Rate: mib}}, source: filepath.Join(t.TempDir(), "source"), dir: t.TempDir()}
	if err := makeFile(c.source, c.workload.size); err != nil {
		t.Fatal(err)
	}
	defer c.end()
	if err := c.begin(ourClients()[:1], ""); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.round(ctx, 0) }()
	for n := (counts{}); n.Requests == 0; { // it runs
		var err error
		if n, err = c.contenders[0].server.counts(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	o, err := parseFlags([]string{"-quick", "-only", "^whole"})
	if err != nil || o.runs != 3 || !o.only.MatchString("whole-sink") || o.only.MatchString("small-sink") {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err := parseFlags([]string{"-dir", "elsewhere"}); err != nil || o.dir != "elsewhere" {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-runs", "-1"}, {"-only", "("}, {"more"}} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%v was accepted", fmt.Sprint(bad))
		}
	}
}
