package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/netfault"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/storage/boltstore"
)

func TestMain(m *testing.M) {
	child.Main(append(roles(), tusdtest.Roles()...)...)
	os.Exit(m.Run())
}

const (
	chunkSize = 256 << 10
	// overhead is more than the headers of what one kill makes necessary.
	overhead = 16 << 10
)

// shapes are the ways to send that must survive kills.
var shapes = []uploadShape{
	{Name: "chunks", ChunkSize: chunkSize},
	{Name: "parallel", ChunkSize: chunkSize, Parallel: 3, MinPartSize: 2 * chunkSize},
	{Name: "deferred length", ChunkSize: chunkSize, DeferLength: true},
}

// victims is who is killed.
type victims struct{ uploader, server bool }

func (v victims) String() string {
	switch v {
	case victims{uploader: true}:
		return "uploader"
	case victims{server: true}:
		return "server"
	}
	return "both"
}

// tally is a row of the table.
type tally struct {
	victims      victims
	shape        string
	kills, files int
	size, moved  int64 // bytes of all files, and bytes that went to the server for them
	verified     int
	records      int // left in the store
	leftovers    int // unfinished uploads on the server
	repeated     int // final uploads that were asked for again
}

// kills is how many of each kind there are to be.
func kills(t *testing.T, short int) int {
	value := os.Getenv("TUS_SOAK")
	if value == "" {
		return short
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		t.Fatalf("TUS_SOAK is %q, not a number of kills", value)
	}
	return n
}

func TestUploadsSurviveKills(t *testing.T) {
	var mu sync.Mutex
	var table []tally
	for _, v := range []victims{{uploader: true}, {server: true}, {uploader: true, server: true}} {
		for _, shape := range shapes {
			short := 70
			if v.server { // a server takes longer to start
				short = 20
			}
			t.Run(v.String()+"/"+shape.Name, func(t *testing.T) {
				row := newArena(t, v, shape).run(kills(t, short))
				mu.Lock()
				table = append(table, row)
				mu.Unlock()
			})
		}
	}
	t.Log("\n" + render(table))
}

// render makes the table for people.
func render(table []tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %-16s %6s %6s %11s %9s %8s %10s %9s\n",
		"killed", "sent as", "kills", "files", "sent/size", "verified", "records", "unfinished", "repeated")
	for _, r := range table {
		fmt.Fprintf(&b, "%-9s %-16s %6d %6d %11.3f %9d %8d %10d %9d\n", r.victims, r.shape, r.kills, r.files,
			float64(r.moved)/float64(r.size), r.verified, r.records, r.leftovers, r.repeated)
	}
	return b.String()
}

// arena is where one kind of upload meets one kind of kill.
type arena struct {
	t       *testing.T
	victims victims
	shape   uploadShape
	random  *rand.Rand
	server  *tusdtest.Process
	proxy   *netfault.Proxy
	state   string
	row     tally
}

func newArena(t *testing.T, v victims, shape uploadShape) *arena {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("TUS_SOAK_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	a := &arena{
		t: t, victims: v, shape: shape, random: rand.New(rand.NewPCG(seed, 1)),
		server: tusdtest.StartProcess(t, tusdtest.ProcessOptions{}),
		state:  filepath.Join(t.TempDir(), "uploads.db"),
		row:    tally{victims: v, shape: shape.Name},
	}
	a.proxy = netfault.New(t, a.server.Addr())
	// Slow enough for a kill in the middle, fast enough for many of them.
	a.proxy.Always(netfault.Plan{Shape: netfault.Shape{Rate: 40 << 20}})
	return a
}

// run uploads files until there were enough kills.
func (a *arena) run(kills int) tally {
	for a.row.kills < kills && !a.t.Failed() {
		a.uploadOne(kills)
	}
	uploads, err := a.server.Uploads()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, id := range uploads {
		if !a.complete(id) {
			a.row.leftovers++
		}
	}
	left := a.records()
	if a.row.records = len(left); a.row.records != 0 {
		a.t.Errorf("left in the store: %+v", left)
	}
	return a.row
}

// uploadOne uploads one file, however often it is killed.
func (a *arena) uploadOne(limit int) {
	a.t.Helper()
	size := a.random.IntN(12 * chunkSize)
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(a.random.Uint32()), byte(a.random.Uint32()), byte(a.random.Uint32())}).Read(data)
	path := filepath.Join(a.t.TempDir(), "file.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		a.t.Fatal(err)
	}
	defer os.Remove(path)
	before, killsBefore := a.proxy.Moved(netfault.Up), a.row.kills
	want, err := tusdtest.HashFile(path)
	if err != nil {
		a.t.Fatal(err)
	}
	var done uploaderEvent
	for attempt := 0; ; attempt++ {
		if attempt > 100 {
			a.t.Fatal("the upload never ends")
		}
		var finished bool
		if done, finished = a.attempt(path, a.row.kills < limit); finished {
			break
		}
		if done.URL = a.completeWithoutRecord(want); done.URL != "" {
			break // killed after its work was done, before it could say so
		}
	}
	if done.Error != "" {
		a.t.Fatalf("upload failed: %s", done.Error)
	}
	moved := a.proxy.Moved(netfault.Up) - before
	killed := int64(a.row.kills - killsBefore)
	if bound := int64(size) + (killed+1)*(a.window()+overhead); moved > bound {
		a.t.Errorf("%d bytes went to the server for %d bytes and %d kills, at most %d were to be", moved, size, killed, bound)
	}
	if got, err := a.server.SHA256(done.URL); err != nil || got != want {
		a.t.Fatalf("the server holds other bytes: %v", err)
	}
	a.row.files++
	a.row.verified++
	a.row.size += int64(size)
	a.row.moved += moved
	a.row.repeated += done.RepeatedFinals
}

// complete reports whether an upload is. What a killed tusd wrote down may be
// cut short.
func (a *arena) complete(id string) bool {
	info, err := a.server.Info(id)
	if err != nil || info.SizeIsDeferred {
		return false
	}
	size, err := a.server.Size(id)
	return err == nil && size == info.Size
}

// completeWithoutRecord returns the upload with the hash, if it is complete and
// the store knows of none.
func (a *arena) completeWithoutRecord(hash string) string {
	if len(a.records()) > 0 {
		return ""
	}
	uploads, err := a.server.Uploads()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, id := range uploads {
		if got, err := a.server.SHA256(id); err == nil && got == hash && a.complete(id) {
			return id
		}
	}
	return ""
}

// window is how much may be on its way when a kill comes: a chunk for each
// connection, and the headers of all requests.
func (a *arena) window() int64 {
	return int64(max(1, a.shape.Parallel)) * (chunkSize + overhead)
}

// attempt runs an uploader that is killed, or not, and reports whether it got to
// its end.
func (a *arena) attempt(path string, kill bool) (uploaderEvent, bool) {
	a.t.Helper()
	config := uploaderConfig{Endpoint: a.proxy.Through(a.server.Endpoint()), File: path, State: a.state, Options: a.shape}
	if kill && a.victims.uploader {
		instants := []instant{"", "", "", beforeCreation, beforeStore, beforeRemoval, beforeFinal}
		config.Die = instants[a.random.IntN(len(instants))]
	}
	results := make(chan uploaderEvent, 1)
	p, err := child.Start(a.t, uploaderRole, config, func(line json.RawMessage) {
		var e uploaderEvent
		if json.Unmarshal(line, &e) == nil {
			results <- e
		}
	})
	if err != nil {
		a.t.Fatal(err)
	}
	if kill {
		a.kill(p, config.Die)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = p.Wait(ctx)
	if ctx.Err() != nil {
		a.t.Fatal("the uploader hangs")
	}
	select {
	case e := <-results:
		if err != nil && e.Error == "" { // killed after it had told its result
			a.row.kills++
			return e, false
		}
		return e, true
	default:
	}
	if !kill || !a.victims.uploader {
		a.t.Fatalf("the uploader ended by itself: %v", err)
	}
	a.row.kills++
	return uploaderEvent{}, false
}

// kill kills at a random moment who is to be killed. An uploader that kills
// itself is left alone.
func (a *arena) kill(p *child.Process, die instant) {
	delay := time.Duration(a.random.IntN(int(120 * time.Millisecond)))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-p.Done():
		return
	case <-timer.C:
	}
	if a.victims.server {
		a.server.Kill()
		if a.victims.uploader && die == "" {
			p.Kill()
		}
		if err := a.server.Start(); err != nil {
			a.t.Fatal(err)
		}
		if !a.victims.uploader {
			a.row.kills++
		}
		return
	}
	if die == "" {
		p.Kill()
	}
}

// records is what the store holds.
func (a *arena) records() []storage.Record {
	store, err := boltstore.Open(a.state, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer store.Close()
	var all []storage.Record
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			a.t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}
