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

// The clients and servers are child processes of the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleServe, roleMeasure, roleUpload, roleProbe:
			main()
			return
		case roleNetwork:
			printNetwork()
			return
		}
	}
	// With the race detector, each of the many processes would sleep before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// roleNetwork prints the network of the process, for a test.
const roleNetwork = "network"

func printNetwork() {
	if err := configureNetwork(); err != nil {
		fmt.Println(err)
		return
	}
	namespace, _ := os.Readlink("/proc/self/ns/net")
	fmt.Println(namespace)
	fmt.Println(networkText())
}

func TestNetwork_IsSeparate(t *testing.T) {
	if err := probeNetwork(t.Context()); err != nil {
		t.Skipf("no network namespace: %v", err) // bench then runs without one and prints a note
	}
	before := networkText()
	cmd, err := selfInNetwork(t.Context(), roleNetwork)
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	namespace, text, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil || namespace == own || !strings.HasPrefix(namespace, "net:") {
		t.Errorf("namespace of the child is %q, of the parent %q, %v", namespace, own, err)
	}
	if !strings.HasSuffix(text, " cubic") && !strings.HasSuffix(text, " reno") {
		t.Errorf("network of the child is %q", text)
	}
	if after := networkText(); after != before {
		t.Errorf("network of the parent was %q, is %q", before, after)
	}
}

// small returns a fast workload of each kind.
func small() []workload {
	return []workload{
		{id: "whole-sink", server: toSink, size: 3*mib + 1},
		{id: "chunks-tusd", server: toTusd, size: 3*mib + 1, chunk: mib},
		{id: "sha1-sink", server: toSink, size: 3*mib + 1, chunk: mib, sha1: true},
		{id: "digest-sink", server: toSink, size: 3*mib + 1, sha256: true},
		{id: "small-sink", server: toSink, size: 4 * kib, files: 20},
		{id: "small-tusd", server: toTusd, size: 4 * kib, files: 20},
		{id: "shaped-tusd", server: toTusd, size: 12 * mib, parts: 2, link: link{Rate: 1 << 30}, sideBySide: true},
		{id: "cut-tusd", server: toTusd, size: 9 * mib, link: link{CutEvery: 4 * mib}},
	}
}

func TestContest_EveryClientUploadsEveryWorkload(t *testing.T) {
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
		if left, err := listFiles(dir); err != nil || len(left) > 0 {
			t.Errorf("%s left %v, %v", w.id, left, err)
		}
	}
}

func TestCompare_ChangedBytesAreFound(t *testing.T) {
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
		t.Errorf("equal bytes: %v", err)
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
	if err := compare(source, e.store); !errors.Is(err, errBytesDiffer) {
		t.Errorf("changed bytes: %v", err)
	}
}

func TestSink_RefusesWrongChecksum(t *testing.T) {
	dir := t.TempDir()
	source, other := filepath.Join(dir, "source"), filepath.Join(dir, "other")
	if err := makeFile(source, mib); err != nil {
		t.Fatal(err)
	}
	if err := makeFile(other, 2*mib); err != nil { // starts with the bytes of source
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
			t.Errorf("%s uploaded a chunk with a wrong checksum", c.name)
		}
	}
}

func TestContest_FailedClientKeepsOthers(t *testing.T) {
	dir := t.TempDir()
	broken := client{name: nameCurl, can: always, command: selfClient("unknown")}
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

func TestRound_EndsWithContext(t *testing.T) {
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
	for n := (counts{}); n.Requests == 0; { // until it runs
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

func TestFlags_InvalidAreErrors(t *testing.T) {
	o, err := parseFlags([]string{"-quick", "-only", "^whole"})
	if err != nil || o.runs != 3 || !o.only.MatchString("whole-sink") || o.only.MatchString("small-sink") {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err := parseFlags([]string{"-dir", "other"}); err != nil || o.dir != "other" {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-runs", "-1"}, {"-only", "("}, {"more"}} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%v was accepted", fmt.Sprint(bad))
		}
	}
}
