package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// The server blocks the second file until a line has its progress.
func TestProgress_PipeGetsLines(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	lineRead := make(chan struct{})
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		select {
		case <-lineRead:
		case <-r.Context().Done():
		}
		h.Serve(w, r)
	}})
	dir := t.TempDir()
	args := []string{"--endpoint", srv.Endpoint(), "--no-state", "--checksum", "off", "--chunk-size", "200KB", "--concurrency", "1"}
	for _, size := range []int{100_000, 300_000, 100_001} {
		path := filepath.Join(dir, fmt.Sprintf("%d.bin", size))
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := command(t, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	close(lineRead)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^1/3 files [0-9]+ % (.+/s, )?(.+ left, )?.+ of 488\.3 KiB; 300000\.bin [0-9]+ % .+ of 293\.0 KiB\n$`).MatchString(line) {
		t.Errorf("line is %q", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The first line follows after a second, and each cause is in one line for all files.
func TestProgress_ClosedPortIsShownAtOnce(t *testing.T) {
	endpoint := "http://" + freeAddress(t) + "/files/"
	path, _ := randomFile(t, 1000)
	other, _ := randomFile(t, 1000)
	cmd := command(t, "--endpoint", endpoint, "--no-state", path, other)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	took := time.Since(start)
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil || !regexp.MustCompile(`^0/2 files 0 % 0 B of 2\.0 KiB; (2 files wait: )?file\.bin 0 % connection refused, retry [0-9]+`).MatchString(line) {
		t.Errorf("line is %q, %v", line, err)
	}
	if took > 2*time.Second { // most of it is for a slow machine
		t.Errorf("it took %v", took)
	}
}
