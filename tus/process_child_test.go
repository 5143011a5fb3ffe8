package tus_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
	"github.com/seed-175555ba/tus-go/storage/filestore"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// Variables that make the test binary act as another process.
const (
	waitVariable   = "TUS_TEST_WAIT"   // wait until the input ends
	uploadVariable = "TUS_TEST_UPLOAD" // upload to this endpoint …
	storeVariable  = "TUS_TEST_STORE"  // … with a store in this directory, or file.db …
	heldVariable   = "TUS_TEST_HELD"   // … and, if set, with HeldFail …
	leaseVariable  = "TUS_TEST_LEASE"  // … and, if set, this lease, and a store on a slow network
)

// processSize is the number of bytes that such a process uploads, in chunks of 1000.
const processSize = 10_000

// processHeader names the process that sends a request.
const processHeader = "X-Process"

// waitIfChild acts as the process that the variables name. TestMain calls it.
func waitIfChild() {
	enterContainer()
	uploadManyIfChild()
	if os.Getenv(waitVariable) != "" {
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	if extensions := os.Getenv(discardVariable); extensions != "" {
		serveDiscard(extensions)
		os.Exit(0)
	}
	if endpoint := os.Getenv(uploadVariable); endpoint != "" {
		if err := uploadFromProcess(endpoint, os.Getenv(storeVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func openStore(path string) (storage.Store, error) {
	if filepath.Ext(path) == ".db" {
		return boltstore.Open(path, nil)
	}
	return filestore.Open(path, nil)
}

func uploadFromProcess(endpoint, path string) error {
	store, err := openStore(path)
	if err != nil {
		return err
	}
	var lease time.Duration
	if text := os.Getenv(leaseVariable); text != "" {
		if lease, err = time.ParseDuration(text); err != nil {
			return err
		}
		store = distantStore{store}
	}
	client, err := tus.NewClient(endpoint, &tus.Options{
		Store: store, RequireStore: true, Lease: lease, Header: http.Header{processHeader: {fmt.Sprint(os.Getpid())}},
	})
	if err != nil {
		return err
	}
	opts := chunked()
	if os.Getenv(heldVariable) != "" {
		opts.Held = tus.HeldFail
	}
	_, err = client.Upload(context.Background(), tus.Bytes(randomBytes(processSize)), opts)
	return err
}

// distantStore is a store on a slow network.
type distantStore struct{ storage.Store }

func (s distantStore) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	time.Sleep(100 * time.Millisecond)
	return s.Store.Put(ctx, rec)
}

func (s distantStore) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	time.Sleep(100 * time.Millisecond)
	return s.Store.Find(ctx, fingerprint)
}

// child is a running process.
type child struct {
	*exec.Cmd
	errors bytes.Buffer
	wait   func() error // for the end of the process
}

func startChild(t testing.TB, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{Cmd: cmd}
	cmd.Stderr = &c.errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.wait = sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		cmd.Process.Kill()
		c.wait()
	})
	return c
}

// uploadingChild uploads randomBytes(processSize).
func uploadingChild(t *testing.T, srv *tustest.Server, dir string, environment ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), uploadVariable+"="+srv.Endpoint(), storeVariable+"="+dir), environment...)
	return startChild(t, cmd)
}

func livingChild(t *testing.T) *child {
	t.Helper()
	c, _ := childWithOutput(t, waitVariable+"=1")
	return c
}

// childWithOutput starts a process that ends with its input, and returns the first line
// of its output.
func childWithOutput(t testing.TB, environment string) (c *child, line string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), environment)
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c = startChild(t, cmd)
	if line, err = bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return c, strings.TrimSpace(line)
}

// killed kills a process and waits for it.
func killed(t *testing.T, c *child) *child {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait()
	return c
}

// zombie kills a process without waiting for it. On systems without /proc, it waits.
func zombie(t *testing.T, c *child) *child {
	t.Helper()
	if runtime.GOOS != "linux" {
		return killed(t, c)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for ctx := testContext(t); ; runtime.Gosched() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
		if err != nil || ctx.Err() != nil {
			t.Fatal(err, ctx.Err())
		}
		if strings.Contains(string(stat), ") Z ") {
			return c
		}
	}
}

// processOf returns the Process of a lease of a child.
func processOf(t *testing.T, c *child) string {
	t.Helper()
	return withProcess(t, fmt.Sprint(c.Process.Pid), startTime(t, c))
}

// withProcess returns a Process of this machine with a process ID and start time.
func withProcess(t *testing.T, number, start string) string {
	t.Helper()
	fields := strings.Split(leaseOfAnUpload(t).Process, "/")
	fields[len(fields)-2], fields[len(fields)-1] = number, start
	return strings.Join(fields, "/")
}

// withBootTime returns the Process of a machine that booted later.
func withBootTime(process string, later time.Duration) string {
	fields := strings.Split(process, "/")
	var booted int64
	fmt.Sscan(fields[len(fields)-3], &booted)
	fields[len(fields)-3] = fmt.Sprint(booted + later.Milliseconds())
	return strings.Join(fields, "/")
}

// startTime returns field 22 of /proc/PID/stat, or "" without /proc.
func startTime(t *testing.T, c *child) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	return strings.Fields(fields)[22-3]
}

func hostname(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// leaseOfAnUpload returns a lease that an upload of this process acquired.
func leaseOfAnUpload(t *testing.T) storage.Lease {
	t.Helper()
	srv, store := tustest.NewServer(t, nil), &storage.Memory{}
	created(t, newClient(t, srv.Endpoint(), &tus.Options{Store: store}), tus.Bytes(randomBytes(10_000)), chunked())
	lease := records(t, store)[0].Lease
	if lease == nil {
		t.Fatal(errors.New("no lease"))
	}
	return *lease
}
