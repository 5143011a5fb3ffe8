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
// store is, and how much memory the server needs. TUS_NATS_MEMORY is the soft limit of that
// in MiB: the server keeps blocks of its files until the next garbage collection.
func TestScale_ManyRecords(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("TUS_NATS_RECORDS"))
	if n == 0 {
		t.Skip("TUS_NATS_RECORDS is not set")
	}
	limit, _ := strconv.ParseInt(os.Getenv("TUS_NATS_MEMORY"), 10, 64)
	config := serverConfig{Dir: t.TempDir(), Name: "server", Port: freePorts(t, 1)[0], MemoryLimit: limit << 20}
	url := fmt.Sprint("nats://127.0.0.1:", config.Port)
	pid, server := startAlone(t, config)
	s := open(t, url, nil)
	records := make([]storage.Record, n)
	seconds := inParallel(64, n, func(i int) {
		rec := record(fmt.Sprint("key ", i))
		rec.Lease = &storage.Lease{Holder: storage.NewID(), Process: "v1/host/" + storage.NewID() + "/1/2", Until: time.Now()}
		rec.Metadata = map[string]string{"filename": fmt.Sprint("file ", i, ".mov"), "filetype": "video/quicktime"}
		var err error
		if records[i], err = s.Put(t.Context(), rec); err != nil {
			t.Error(err)
		}
	})
	t.Logf("creations, 64 at once: %.0f/s; memory %d MiB", float64(n)/seconds, memory(t, pid))
	m := &measurement{t, s, pid, records}
	m.run()

	server.Kill()
	config.SyncAlways = true
	begin := time.Now()
	m.pid, _ = startAlone(t, config)
	m.s = open(t, url, nil)
	t.Logf("killed, and started with sync_interval always: %v; memory %d MiB", time.Since(begin).Round(time.Millisecond), memory(t, m.pid))
	m.run()
	m.renewals(n) // each reads another part of the files
	m.deleteSome()
	t.Logf("peak memory %d MiB", status(t, m.pid, "VmHWM"))
}

type measurement struct {
	t       *testing.T
	s       storage.Store
	pid     int
	records []storage.Record
}

// find finds a record by its fingerprint, or none.
func (m *measurement) find(key string, want int) func(i int) {
	return func(i int) {
		if found, err := m.s.Find(m.t.Context(), fmt.Sprint(key, i*7919%len(m.records))); len(found) != want || err != nil {
			m.t.Fatalf("found %d records, %v, want %d", len(found), err, want)
		}
	}
}

// renew renews one of the last records, which are those of uploads in progress.
func (m *measurement) renew(live int) func(i int) {
	return func(i int) {
		rec := &m.records[len(m.records)-1-i*7919%live]
		rec.Lease.Until = rec.Lease.Until.Add(time.Second)
		var err error
		if *rec, err = m.s.Put(m.t.Context(), *rec); err != nil {
			m.t.Error(err)
		}
	}
}

func (m *measurement) run() {
	t, n := m.t, len(m.records)
	live := min(n, 20_000)
	t.Log("Find of none:", latency(5000, m.find("none ", 0)))
	t.Logf("Find of one record: %s; memory %d MiB", latency(5000, m.find("key ", 1)), memory(t, m.pid))
	t.Log("renewal:", latency(2000, m.renew(live)))
	m.renewals(live)
	begin, yielded, peak := time.Now(), 0, 0
	for _, err := range m.s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if yielded++; yielded%10_000 == 0 {
			peak = max(peak, memory(t, m.pid))
		}
	}
	t.Logf("All: %d records in %v; memory %d MiB, at most %d", yielded, time.Since(begin).Round(time.Millisecond), memory(t, m.pid), peak)
	if yielded != n {
		t.Errorf("All yielded %d records, want %d", yielded, n)
	}
	t.Log("Find of one record after All:", latency(5000, m.find("key ", 1)))
}

// renewals renews 20,000 of the last records.
func (m *measurement) renewals(among int) {
	n := min(len(m.records), 20_000)
	seconds := inParallel(64, n, m.renew(among))
	m.t.Logf("renewals among %d records, 64 at once: %.0f/s; memory %d MiB", among, float64(n)/seconds, memory(m.t, m.pid))
}

func (m *measurement) deleteSome() {
	m.t.Log("Delete:", latency(min(len(m.records), 2000), func(i int) {
		if err := m.s.Delete(m.t.Context(), m.records[i].ID, m.records[i].Revision); err != nil {
			m.t.Fatal(err)
		}
	}))
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
