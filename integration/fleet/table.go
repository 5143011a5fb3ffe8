//go:build unix

package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// tally is the result of a soak.
type tally struct {
	engine    string
	lease     time.Duration
	began     time.Time
	took      time.Duration
	kills     int
	stops     int
	terms     int
	failovers int

	made, equal, twice int
	size               int64
	beyond             int64 // bytes on the server that belong to no complete upload
	written            int64 // by workers
	writers            writers
	ended              map[string]int

	killed, killedAway []time.Duration
	termed, termedAway []time.Duration
}

// count takes over what the fleet has counted.
func (row *tally) count(f *fleet) {
	row.made, row.equal, row.twice, row.size, row.beyond = f.files.made, f.files.equal, f.files.twice, f.files.bytes, f.files.beyond
	row.writers, row.written, row.ended = f.recorder.writers(), f.written, f.ended
	row.killed, row.killedAway = f.takeovers.times(killed, stopped)
	row.termed, row.termedAway = f.takeovers.times(terminated)
}

// maxResent is how many bytes a kill may cost the clients: what sockets hold.
const maxResent = 8 << 20

// failover is how much longer a takeover may take while the engine fails over.
const failover = 10 * time.Second

// check tests all numbers but the times.
func (row *tally) check(t testing.TB) {
	t.Helper()
	if row.equal != row.made || row.twice != 0 || row.beyond != 0 {
		t.Errorf("%d of %d files are complete and equal, %d twice, %d bytes beyond", row.equal, row.made, row.twice, row.beyond)
	}
	if w := row.writers; w.overlapping != 0 || w.earlier != 0 || w.received != row.size {
		t.Errorf("%d overlapping writers, %d requests of earlier holders, %d of %d bytes received", w.overlapping, w.earlier, w.received, row.size)
	}
	if n := row.resent(); n > maxResent {
		t.Errorf("%d bytes resent for each kill", n)
	}
}

// checkTimes tests how long takeovers took.
func (row *tally) checkTimes(t testing.TB) {
	t.Helper()
	for _, limit := range []struct {
		name  string
		times []time.Duration
		most  time.Duration
	}{
		{"takeover", row.killed, row.lease + time.Second},
		{"takeover during a failover", row.killedAway, row.lease + time.Second + failover},
		{"takeover after SIGTERM", row.termed, time.Second},
		{"takeover after SIGTERM during a failover", row.termedAway, time.Second + failover},
	} {
		if p99 := quantile(limit.times, 99); p99 > limit.most {
			t.Errorf("%s: p99 is %v, want at most %v", limit.name, p99, limit.most)
		}
	}
}

// resent returns the bytes that clients wrote beyond the files, for each kill. It includes
// headers.
func (row *tally) resent() int64 {
	return max(0, row.written-row.size) / int64(max(1, row.kills+row.stops+row.terms))
}

// quantile returns a percentile of sorted times.
func quantile(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[min(len(times)-1, len(times)*percent/100)]
}

// String returns rows of a Markdown table.
func (row *tally) String() string {
	var b strings.Builder
	line := func(name string, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, fmt.Sprintf(format, args...))
	}
	line("", "%s", row.engine)
	line("---", "---")
	line("kills: SIGKILL, SIGSTOP for 1.5 leases, SIGTERM", "%d (%d, %d, %d) in %v", row.kills+row.stops+row.terms, row.kills, row.stops, row.terms, row.took.Round(time.Second))
	line("servers of the engine killed", "%d", row.failovers)
	line("files complete exactly once and equal", "%d of %d (%d MiB)", row.equal, row.made, row.size>>20)
	line("complete twice", "%d", row.twice)
	line("uploads created", "%d", row.writers.uploads)
	line("overlapping writers", "%d in %d requests", row.writers.overlapping, row.writers.patches)
	line("PATCH of an earlier holder after a later one", "%d (%d with bytes)", row.writers.earlier, row.writers.accepted)
	line("bytes received beyond the files", "%d", row.writers.received-row.size)
	line("bytes stored beyond the files", "%d", row.beyond)
	line("bytes written by clients beyond the files, each kill", "%d", row.resent())
	line("uploads that ended and were resumed", "%v", row.ended)
	line(fmt.Sprintf("takeover, lease of %v", row.lease), "%s", show(row.killed))
	line("takeover while the engine fails over", "%s", show(row.killedAway))
	line("takeover after SIGTERM", "%s", show(row.termed))
	line("takeover after SIGTERM while the engine fails over", "%s", show(row.termedAway))
	return b.String()
}

func show(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", round(quantile(times, 50)), round(quantile(times, 99)), round(quantile(times, 100)), len(times))
}
