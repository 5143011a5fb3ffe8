package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/netfault"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestMain(m *testing.M) {
	child.Main(append(roles(), tusdtest.Roles()...)...)
	os.Exit(m.Run())
}

// start runs a task in a child process and returns its report.
func start(t testing.TB, what task) report {
	t.Helper()
	reports := make(chan report, 1)
	p, err := child.Start(t, uploaderRole, what, func(line json.RawMessage) {
		var r report
		if json.Unmarshal(line, &r) == nil {
			reports <- r
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	err = p.Wait(ctx)
	select {
	case r := <-reports:
		if r.Error != "" {
			t.Fatal(r.Error)
		}
		return r
	default:
		t.Fatal(err)
		return report{}
	}
}

// bigFile creates a sparse file of size bytes with 4 KiB of noise every 7 MiB.
func bigFile(t testing.TB, size int64) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 4096)
	random := rand.NewChaCha8([32]byte{3})
	for offset := int64(0); offset < size; offset += 7 << 20 {
		random.Read(noise)
		if _, err := f.WriteAt(noise[:min(4096, size-offset)], offset); err != nil {
			t.Fatal(err)
		}
	}
	return f.Name()
}

// manyFiles creates a directory of count files of size bytes.
func manyFiles(t testing.TB, count, size int) string {
	t.Helper()
	dir := t.TempDir()
	data := make([]byte, size)
	random := rand.NewChaCha8([32]byte{4})
	for i := range count {
		random.Read(data)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.bin", i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Sizes around multiples of MinPartSize, with several numbers of connections.
func TestParallel_StoresExactBytes(t *testing.T) {
	const part = 1 << 20
	srv := tusdtest.Start(t, nil)
	client, err := tus.NewClient(srv.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	check := func(t *testing.T, size int64, parallel int, least int64) {
		t.Helper()
		path := bigFile(t, size)
		result, err := client.UploadFile(t.Context(), path, &tus.UploadOptions{Parallel: parallel, ParallelOptions: tus.ParallelOptions{MinPartSize: least}})
		if err != nil {
			t.Fatal(err)
		}
		want, err := tusdtest.HashFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := srv.SHA256(result.URL); err != nil || got != want {
			t.Fatalf("tusd stored other bytes: %v; stats are %+v", err, result.Stats)
		}
		if result.Stats.Sent != size || result.Stats.Resent != 0 {
			t.Errorf("stats are %+v", result.Stats)
		}
	}
	large := int64(1 << 30)
	if testing.Short() {
		large = 96 << 20
	}
	for _, parallel := range []int{1, 2, 4, 8} {
		for _, size := range []int64{0, 1, part - 1, part, part + 1, 2*part - 1, 2 * part, 2*part + 1, 8*part + 1} {
			t.Run(fmt.Sprintf("parallel=%d/size=%d", parallel, size), func(t *testing.T) { check(t, size, parallel, part) })
		}
		t.Run(fmt.Sprintf("parallel=%d/large", parallel), func(t *testing.T) { check(t, large, parallel, 0) })
	}
}

func TestUploadAll_SmallFilesTakeOneRequestEach(t *testing.T) {
	const count, connections = 5000, 8
	srv := tusdtest.Start(t, nil)
	counter := countConnections(t, strings.TrimSuffix(strings.TrimPrefix(srv.Endpoint(), "http://"), "/files/"))
	r := start(t, task{
		Endpoint: "http://" + counter.listener.Addr().String() + "/files/",
		Dir:      manyFiles(t, count, 100), Concurrency: 32, Connections: connections,
		State: filepath.Join(t.TempDir(), "uploads.db"),
	})
	if r.Requests != count+1 || srv.Count("POST") != count || srv.Count("OPTIONS") != 1 || len(srv.Requests()) != count+1 {
		t.Errorf("client counted %d requests, server %d POST and %d in all", r.Requests, srv.Count("POST"), len(srv.Requests()))
	}
	if most := counter.most(); most > connections {
		t.Errorf("%d connections at once", most)
	}
	uploads, err := srv.Uploads()
	if err != nil || len(uploads) != count {
		t.Errorf("%d uploads, %v", len(uploads), err)
	}
	if left, err := srv.Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("left on the server: %v, %v", left, err)
	}
}

// connectionCounter forwards connections and counts those open at once.
type connectionCounter struct {
	listener net.Listener
	running  sync.WaitGroup

	mu        sync.Mutex
	open, max int
}

func countConnections(t *testing.T, target string) *connectionCounter {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &connectionCounter{listener: listener}
	c.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.running.Go(func() { c.forward(conn, target) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		c.running.Wait()
	})
	return c
}

func (c *connectionCounter) forward(client net.Conn, target string) {
	defer client.Close()
	c.count(1)
	closed := sync.OnceFunc(func() { c.count(-1) }) // by either side: then the client may dial
	defer closed()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(client, server)
		closed()
		client.Close()
	})
	io.Copy(server, client)
	closed()
	server.Close()
	back.Wait()
}

func (c *connectionCounter) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	c.max = max(c.max, c.open)
}

func (c *connectionCounter) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.max
}

// BenchmarkPeakMemory reports the peak memory of an uploading process for very
// different sizes. It should not depend on the size.
func BenchmarkPeakMemory(b *testing.B) {
	sink := tusdtest.StartSink(b)
	for _, size := range []int64{64 << 20, 4 << 30} {
		for name, t := range map[string]task{
			"whole":    {},
			"chunks":   {ChunkSize: 8 << 20},
			"parallel": {Parallel: 8},
			"stream":   {Stream: size},
		} {
			b.Run(fmt.Sprintf("%s/%dMiB", name, size>>20), func(b *testing.B) {
				t.Endpoint = sink
				if t.Stream == 0 {
					t.File = bigFile(b, size)
				}
				b.SetBytes(size)
				var peak int64
				for b.Loop() {
					peak = max(peak, start(b, t).PeakRSS)
				}
				b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			})
		}
	}
}

// BenchmarkLongFatLink sends 64 MiB over a link with a round trip of 100 ms and
// 4 MiB per second for each connection. n parts should be n times as fast as one
// stream, except for the cost of the creations.
func BenchmarkLongFatLink(b *testing.B) {
	const size = 64 << 20
	sink := tusdtest.StartSink(b)
	path := bigFile(b, size)
	for _, parallel := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			proxy := netfault.New(b, strings.TrimSuffix(strings.TrimPrefix(sink, "http://"), "/files/"))
			proxy.Always(netfault.Plan{Shape: netfault.Shape{RoundTrip: 100 * time.Millisecond, Rate: 4 << 20}})
			client, err := tus.NewClient(proxy.Through(sink), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer client.CloseIdleConnections()
			b.SetBytes(size)
			for b.Loop() {
				if _, err := client.UploadFile(context.Background(), path, &tus.UploadOptions{Parallel: parallel}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSmallFiles uploads 2,000 files of 4 KiB, 16 at once, with and without
// a store.
func BenchmarkSmallFiles(b *testing.B) {
	const count = 2000
	sink := tusdtest.StartSink(b)
	dir := manyFiles(b, count, 4<<10)
	for _, kind := range []string{"no store", "bolt store"} {
		b.Run(kind, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				t := task{Endpoint: sink, Dir: dir, Concurrency: 16}
				if kind == "bolt store" {
					t.State = filepath.Join(b.TempDir(), "uploads.db")
				}
				began := time.Now()
				start(b, t)
				took += time.Since(began)
			}
			b.ReportMetric(float64(count*b.N)/took.Seconds(), "files/s")
		})
	}
}
