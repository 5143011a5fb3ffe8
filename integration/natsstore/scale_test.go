package natsstore_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/storage"
)

// TestScale_ManyRecords fills a bucket with TUS_NATS_RECORDS records and logs how fast the
// store is, and how much memory the server needs.
func TestScale_ManyRecords(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("TUS_NATS_RECORDS"))
	if n == 0 {
		t.Skip("TUS_NATS_RECORDS is not set")
	}
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprint("sync_always=", sync), func(t *testing.T) { measure(t, n, sync) })
	}
}

func measure(t *testing.T, n int, syncAlways bool) {
	config := serverConfig{Dir: t.TempDir(), Name: "server", Port: freePorts(t, 1)[0]}
	url := fmt.Sprint("nats://127.0.0.1:", config.Port)
	pid, server := startAlone(t, config)
	s := open(t, url, nil)
	records := make([]storage.Record, n)
	seconds := inParallel(64, n, func(i int) {
		rec := record(fmt.Sprint("key ", i))
		rec.Lease = &storage.Lease{Holder: storage.NewID(), Process: "v1/host/" + storage.NewID() + "/1/2", Until: time.Now()}
		rec.Metadata = map[string]string{"filename": fmt.Sprint("file ", i, ".mov"), "filetype": "video/quicktime"}
		records[i] = put(t, s, rec)
	})
	t.Logf("creations, 64 at once: %.0f/s; memory %d MiB", float64(n)/seconds, memory(t, pid))

	if syncAlways {
		server.Kill()
		config.SyncAlways = true
		begin := time.Now()
		pid, _ = startAlone(t, config)
		s = open(t, url, nil)
		t.Logf("killed and started again: %v; memory %d MiB", time.Since(begin).Round(time.Millisecond), memory(t, pid))
	}
	find := func(key string, want int) func(i int) {
		return func(i int) {
			if found, err := s.Find(t.Context(), fmt.Sprint(key, i*7919%n)); len(found) != want || err != nil {
				t.Fatal(found, err)
			}
		}
	}
	t.Log("Find of one record:", latency(5000, find("key ", 1)))
	t.Log("Find of none:", latency(5000, find("none ", 0)))
	renew := func(i int) {
		rec := &records[i*7919%n]
		rec.Lease.Until = rec.Lease.Until.Add(time.Second)
		*rec = put(t, s, *rec)
	}
	t.Log("renewal:", latency(2000, renew))
	renewals := min(n, 50_000)
	seconds = inParallel(64, renewals, renew)
	t.Logf("renewals, 64 at once: %.0f/s; memory %d MiB", float64(renewals)/seconds, memory(t, pid))

	begin, yielded := time.Now(), 0
	peak := 0
	for _, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if yielded++; yielded%10_000 == 0 {
			peak = max(peak, memory(t, pid))
		}
	}
	t.Logf("All: %d records in %v; memory %d MiB, at most %d", yielded, time.Since(begin).Round(time.Millisecond), memory(t, pid), peak)
	if yielded != n {
		t.Errorf("All yielded %d records, want %d", yielded, n)
	}
	t.Log("Find of one record after All:", latency(5000, find("key ", 1)))
	deletes := min(n, 5000)
	t.Log("Delete:", latency(deletes, func(i int) {
		if err := s.Delete(t.Context(), records[i].ID, records[i].Revision); err != nil {
			t.Fatal(err)
		}
	}))
	t.Logf("peak memory %d MiB", status(t, pid, "VmHWM"))
}

// startAlone starts a server without a cluster and returns the ID of its process.
func startAlone(t testing.TB, config serverConfig) (pid int, p *child.Process) {
	t.Helper()
	started := make(chan int, 1)
	p, err := child.Start(t, "nats-server", config, func(event json.RawMessage) {
		var pid int
		json.Unmarshal(event, &pid)
		started <- pid
	})
	if err != nil {
		t.Fatal(err)
	}
	return <-started, p
}

// inParallel calls f for 0 to n-1 from several goroutines and returns the seconds.
func inParallel(workers, n int, f func(i int)) float64 {
	begin := time.Now()
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	group.Wait()
	return time.Since(begin).Seconds()
}

// latency calls f n times and returns percentiles.
func latency(n int, f func(i int)) string {
	var times []time.Duration
	for i := range n {
		begin := time.Now()
		f(i)
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	return fmt.Sprintf("p50 %v, p99 %v, max %v", times[n/2], times[n*99/100], times[n-1])
}

// memory returns the resident memory of a process in MiB.
func memory(t testing.TB, pid int) int { return status(t, pid, "VmRSS") }

func status(t testing.TB, pid int, field string) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); fields[0] == field+":" {
			kib, _ := strconv.Atoi(fields[1])
			return kib >> 10
		}
	}
	t.Fatal("no", field)
	return 0
}
