//go:build unix

package proxy_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/netfault"
	"github.com/seed-175555ba/tus-go/integration/servers"
	"github.com/seed-175555ba/tus-go/integration/servers/proxy"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

const (
	// linkRate is the bandwidth of a usual connection in bytes per second.
	linkRate = 20 << 20
	// overshoot is an upper bound for the bytes that are sent until an interruption takes effect.
	overshoot = 8 << 20
	// perInterruption is an upper bound for the bytes that one interruption costs where nothing
	// is buffered: header fields, and the bytes in flight.
	perInterruption = 512 << 10
)

// trial uploads one file with interruptions. It counts what passes from the client to the proxy.
type trial struct {
	t      *testing.T
	server *tusdtest.Server
	behind *servers.Running
	link   *netfault.Proxy
	source source
	at     []int64 // acknowledged and sent bytes at each interruption, ascending
}

// newTrial returns a trial with 4 interruptions of a file of 40 MB, or, if TUS_SOAK_PROXY is N,
// with N interruptions of 200 MB. TUS_SOAK_SEED chooses their positions.
func newTrial(t *testing.T, name string) *trial {
	t.Helper()
	size, count, seed := int64(40e6), 4, uint64(3)
	if value := os.Getenv("TUS_SOAK_PROXY"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			t.Fatalf("TUS_SOAK_PROXY is %q, not a number of interruptions", value)
		}
		size, count, seed = 200e6, n, uint64(time.Now().UnixNano())
	}
	if value := os.Getenv("TUS_SOAK_SEED"); value != "" {
		var err error
		if seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	server, backend := startTusd(t)
	r := &trial{t: t, server: server, behind: startNamed(t, name, backend), source: newSource(t, size)}
	random := rand.New(rand.NewPCG(seed, 1))
	for range count {
		r.at = append(r.at, random.Int64N(size-overshoot))
	}
	slices.Sort(r.at)
	to, err := url.Parse(r.behind.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	r.link = netfault.New(t, to.Host)
	return r
}

// endpoint returns the endpoint at the end of the link.
func (r *trial) endpoint() string { return r.link.Through(r.behind.Endpoint) }

// acknowledged returns how many bytes tusd has of the only upload.
func (r *trial) acknowledged() int64 {
	ids, err := r.server.Uploads()
	if err != nil || len(ids) > 1 {
		r.t.Errorf("uploads are %v (%v)", ids, err)
	}
	if len(ids) == 0 {
		return 0
	}
	n, err := r.server.Size(ids[0])
	if err != nil {
		r.t.Error(err)
	}
	return n
}

// settle returns when tusd has stored the bytes that were in flight at an interruption.
func (r *trial) settle() {
	const quiet = 100 * time.Millisecond
	for before := int64(-1); before != r.acknowledged(); time.Sleep(quiet) {
		before = r.acknowledged()
	}
}

// reach returns when the client has sent all bytes up to at that were not acknowledged before, or
// when over is closed.
func (r *trial) reach(at int64, over <-chan struct{}) {
	limit := r.link.Moved(netfault.Up) + at - r.acknowledged()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for r.link.Moved(netfault.Up) < limit {
		select {
		case <-poll.C:
		case <-over:
			return
		}
	}
}

// finish compares the content, and the bytes that were sent with the limit.
func (r *trial) finish(uploadURL string, limit int64) {
	r.t.Helper()
	wantStored(r.t, r.behind, uploadURL, r.source)
	sent := r.link.Moved(netfault.Up)
	r.t.Logf("%d interruptions, sent %d bytes for a file of %d: %.3f×", len(r.at), sent, r.source.size, float64(sent)/float64(r.source.size))
	if sent > limit {
		r.t.Errorf("sent %d bytes, want at most %d", sent, limit)
	}
	if n := r.server.Count("POST"); n != 1 {
		r.t.Errorf("%d creations", n)
	}
}

// half is the limit of an upload behind a proxy that buffers: half of the file is sent again.
func (r *trial) half() int64 { return r.source.size + r.source.size/2 }

// little is the limit of an upload behind a proxy that does not buffer.
func (r *trial) little() int64 { return r.source.size + int64(len(r.at)+1)*perInterruption }

// killed uploads with a process that is killed at each interruption, and returns the upload URL.
func (r *trial) killed() string {
	t := r.t
	t.Helper()
	results := make(chan uploaderResult, 1)
	config := uploaderConfig{
		Endpoint: r.endpoint(), File: r.source.path, State: filepath.Join(t.TempDir(), "uploads.db"), Rate: linkRate,
	}
	launch := func() *child.Process {
		p, err := child.Start(t, uploaderName, config, func(line json.RawMessage) {
			var result uploaderResult
			if err := json.Unmarshal(line, &result); err != nil {
				t.Error(err)
			}
			results <- result
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for i, at := range r.at {
		p := launch()
		r.reach(at, p.Done())
		p.Kill()
		r.settle()
		if len(results) > 0 {
			t.Fatalf("finished before interruption %d at %d: %+v", i, at, <-results)
		}
	}
	if err := launch().Wait(testContext(t, 5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	result := <-results
	t.Logf("stats of the last process: %+v", result.Stats)
	return result.URL
}

// cut uploads with one process whose connections are reset at each interruption, and returns the
// upload URL.
func (r *trial) cut() string {
	t := r.t
	t.Helper()
	client := newClient(t, &servers.Running{Endpoint: r.endpoint()}, tus.Options{
		Retry: tus.RetryPolicy{MaxRetries: 100, Delay: func(int) time.Duration { return 20 * time.Millisecond }},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	over, cuts := make(chan struct{}), make(chan struct{})
	var made atomic.Int64
	go func() {
		defer close(cuts)
		for _, at := range r.at {
			r.reach(at, over)
			select {
			case <-over:
				return
			default:
				r.link.ResetAll()
				made.Add(1)
			}
		}
	}()
	result, err := client.UploadFile(ctx, r.source.path, nil)
	close(over)
	<-cuts
	if err != nil {
		t.Fatal(err)
	}
	if int(made.Load()) != len(r.at) {
		t.Errorf("%d of %d interruptions", made.Load(), len(r.at))
	}
	t.Logf("stats: %+v", result.Stats)
	return result.URL
}

func TestBuffering_KillsCostLessThanHalf(t *testing.T) {
	for _, name := range []string{proxy.NginxBuffering, proxy.LighttpdBuffering} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrial(t, name)
			r.finish(r.killed(), r.half())
		})
	}
}

func TestBuffering_BrokenConnectionsCostLessThanHalf(t *testing.T) {
	for name, shape := range map[string]netfault.Shape{
		"usual link":  {Rate: linkRate, RoundTrip: 2 * time.Millisecond},
		"slower link": {Rate: linkRate / 4, RoundTrip: 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrial(t, proxy.NginxBuffering)
			r.link.Always(netfault.Plan{Shape: shape})
			r.finish(r.cut(), r.half())
		})
	}
}

func TestStreaming_KillsCostNothing(t *testing.T) {
	t.Parallel()
	r := newTrial(t, proxy.NginxStreaming)
	r.finish(r.killed(), r.little())
}

func TestStreaming_BrokenConnectionsCostNothing(t *testing.T) {
	t.Parallel()
	r := newTrial(t, proxy.NginxStreaming)
	r.link.Always(netfault.Plan{Shape: netfault.Shape{Rate: linkRate, RoundTrip: 2 * time.Millisecond}})
	r.finish(r.cut(), r.little())
}
