package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	// overhead is an upper bound for the headers that one kill causes.
	overhead = 16 << 10
)

// shapes lists the kinds of uploads that must survive kills.
var shapes = []uploadShape{
	{Name: "chunks", ChunkSize: chunkSize},
	{Name: "parallel", ChunkSize: chunkSize, Parallel: 3, MinPartSize: 2 * chunkSize},
	{Name: "deferred length", ChunkSize: chunkSize, DeferLength: true},
}

// victims says which processes are killed.
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
	size, moved  int64 // bytes of all files, and bytes sent to the server for them
	verified     int
	records      int // left in the store
	leftovers    int // unfinished uploads on the server
	corrupt      int // uploads whose .info file a killed server left truncated
}

// kills returns the number of kills of each kind.
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

func TestUpload_SurvivesKills(t *testing.T) {
	var mu sync.Mutex
	var table []tally
	for _, v := range []victims{{uploader: true}, {server: true}, {uploader: true, server: true}} {
		for _, shape := range shapes {
			short := 24
			if v.server { // a server takes longer to start
				short = 8
			}
			t.Run(v.String()+"/"+shape.Name, func(t *testing.T) {
				row := newKillTest(t, v, shape).run(kills(t, short))
				mu.Lock()
				table = append(table, row)
				mu.Unlock()
			})
		}
	}
	t.Log("\n" + render(table))
}

// render formats the table.
func render(table []tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %-16s %6s %6s %11s %9s %8s %10s %8s\n",
		"killed", "sent as", "kills", "files", "sent/size", "verified", "records", "unfinished", "corrupt")
	for _, r := range table {
		fmt.Fprintf(&b, "%-9s %-16s %6d %6d %11.3f %9d %8d %10d %8d\n", r.victims, r.shape, r.kills, r.files,
			float64(r.moved)/float64(r.size), r.verified, r.records, r.leftovers, r.corrupt)
	}
	return b.String()
}

// killTest kills the processes of one kind of upload.
type killTest struct {
	t       *testing.T
	victims victims
	shape   uploadShape
	random  *rand.Rand
	server  *tusdtest.Process
	proxy   *netfault.Proxy
	state   string
	row     tally
}

func newKillTest(t *testing.T, v victims, shape uploadShape) *killTest {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("TUS_SOAK_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	k := &killTest{
		t: t, victims: v, shape: shape, random: rand.New(rand.NewPCG(seed, 1)),
		server: tusdtest.StartProcess(t, tusdtest.ProcessOptions{}),
		state:  filepath.Join(t.TempDir(), "uploads.db"),
		row:    tally{victims: v, shape: shape.Name},
	}
	k.proxy = netfault.New(t, k.server.Addr())
	// Slow enough for a kill in the middle of an upload, fast enough for many kills.
	k.proxy.Always(netfault.Plan{Shape: netfault.Shape{Rate: 40 << 20}})
	return k
}

// run uploads files until the number of kills is reached.
func (k *killTest) run(kills int) tally {
	for k.row.kills < kills && !k.t.Failed() {
		k.uploadOne(kills)
	}
	uploads, err := k.server.Uploads()
	if err != nil {
		k.t.Fatal(err)
	}
	for _, id := range uploads {
		if !k.complete(id) {
			k.row.leftovers++
		}
	}
	left := k.records()
	if k.row.records = len(left); k.row.records != 0 {
		k.t.Errorf("left in the store: %+v", left)
	}
	return k.row
}

// uploadOne uploads one file and kills until limit is reached.
func (k *killTest) uploadOne(limit int) {
	k.t.Helper()
	size := k.random.IntN(12 * chunkSize)
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(k.random.Uint32()), byte(k.random.Uint32()), byte(k.random.Uint32())}).Read(data)
	path := filepath.Join(k.t.TempDir(), "file.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		k.t.Fatal(err)
	}
	defer os.Remove(path)
	before, killsBefore, corruptBefore := k.proxy.Moved(netfault.Up), k.row.kills, k.row.corrupt
	want, err := tusdtest.HashFile(path)
	if err != nil {
		k.t.Fatal(err)
	}
	var done uploaderEvent
	for attempt := 0; ; attempt++ {
		if attempt > 100 {
			k.t.Fatal("the upload did not complete in 100 attempts")
		}
		var finished bool
		if done, finished = k.attempt(path, k.row.kills < limit); finished {
			if done.Error != "" && k.victims.server && k.deleteCorrupt() {
				k.row.corrupt++
				continue
			}
			break
		}
		if done.URL = k.completeWithoutRecord(want); done.URL != "" {
			break // killed after completion, before it reported the result
		}
	}
	if done.Error != "" {
		k.t.Fatalf("upload failed: %s", done.Error)
	}
	moved := k.proxy.Moved(netfault.Up) - before
	killed := int64(k.row.kills - killsBefore)
	starts := int64(1 + k.row.corrupt - corruptBefore)
	if bound := starts*int64(size) + (killed+1)*(k.window()+overhead); moved > bound {
		k.t.Errorf("%d bytes were sent for %d bytes and %d kills, want at most %d", moved, size, killed, bound)
	}
	if got, err := k.server.SHA256(done.URL); err != nil || got != want {
		k.t.Fatalf("the server stored other bytes: %v", err)
	}
	k.row.files++
	k.row.verified++
	k.row.size += int64(size)
	k.row.moved += moved
}

// complete reports whether an upload is complete. The .info file of a killed tusd
// may be truncated.
func (k *killTest) complete(id string) bool {
	info, err := k.server.Info(id)
	if err != nil || info.SizeIsDeferred {
		return false
	}
	size, err := k.server.Size(id)
	return err == nil && size == info.Size
}

// deleteCorrupt deletes the records of uploads whose .info file a killed tusd left
// truncated: it responds 500 to every request for them, so the upload fails and its record
// stays. It reports whether there was one.
func (k *killTest) deleteCorrupt() bool {
	store, err := boltstore.Open(k.state, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	defer store.Close()
	found := false
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			k.t.Fatal(err)
		}
		urls := []string{rec.UploadURL}
		for _, part := range rec.Parts {
			urls = append(urls, part.UploadURL)
		}
		for _, url := range urls {
			if !k.corrupt(url) {
				continue
			}
			if err := store.Delete(context.Background(), rec.ID, rec.Revision); err != nil {
				k.t.Fatal(err)
			}
			found = true
			break
		}
	}
	return found
}

// corrupt reports whether the server has an .info file for the URL that is not valid.
func (k *killTest) corrupt(url string) bool {
	if url == "" {
		return false
	}
	_, err := k.server.Info(url)
	return err != nil && !errors.Is(err, fs.ErrNotExist)
}

// completeWithoutRecord returns the complete upload with the hash if the store has
// no records, and "" otherwise.
func (k *killTest) completeWithoutRecord(hash string) string {
	if len(k.records()) > 0 {
		return ""
	}
	uploads, err := k.server.Uploads()
	if err != nil {
		k.t.Fatal(err)
	}
	for _, id := range uploads {
		if got, err := k.server.SHA256(id); err == nil && got == hash && k.complete(id) {
			return id
		}
	}
	return ""
}

// window returns how many bytes may be in flight at a kill: a chunk for each
// connection, and the headers of all requests.
func (k *killTest) window() int64 {
	return int64(max(1, k.shape.Parallel)) * (chunkSize + overhead)
}

// attempt runs an uploader, with a kill if kill is set, and reports whether it
// finished.
func (k *killTest) attempt(path string, kill bool) (uploaderEvent, bool) {
	k.t.Helper()
	config := uploaderConfig{Endpoint: k.proxy.Through(k.server.Endpoint()), File: path, State: k.state, Options: k.shape}
	if kill && k.victims.uploader {
		instants := []instant{"", "", "", beforeCreation, beforeStore, beforeRemoval, beforeFinal}
		config.Die = instants[k.random.IntN(len(instants))]
	}
	results := make(chan uploaderEvent, 1)
	p, err := child.Start(k.t, uploaderRole, config, func(line json.RawMessage) {
		var e uploaderEvent
		if json.Unmarshal(line, &e) == nil {
			results <- e
		}
	})
	if err != nil {
		k.t.Fatal(err)
	}
	if kill {
		k.kill(p, config.Die)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = p.Wait(ctx)
	if ctx.Err() != nil {
		k.t.Fatal("the uploader hangs")
	}
	select {
	case e := <-results:
		if err != nil && e.Error == "" { // killed after it reported its result
			k.row.kills++
			return e, false
		}
		return e, true
	default:
	}
	if !kill || !k.victims.uploader {
		k.t.Fatalf("the uploader was not killed and exited: %v", err)
	}
	k.row.kills++
	return uploaderEvent{}, false
}

// kill kills the victims at a random moment, except for an uploader that kills
// itself.
func (k *killTest) kill(p *child.Process, die instant) {
	delay := time.Duration(k.random.IntN(int(120 * time.Millisecond)))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-p.Done():
		return
	case <-timer.C:
	}
	if k.victims.server {
		k.server.Kill()
		if k.victims.uploader && die == "" {
			p.Kill()
		}
		if err := k.server.Start(); err != nil {
			k.t.Fatal(err)
		}
		if !k.victims.uploader {
			k.row.kills++
		}
		return
	}
	if die == "" {
		p.Kill()
	}
}

// records returns all records of the store.
func (k *killTest) records() []storage.Record {
	store, err := boltstore.Open(k.state, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	defer store.Close()
	var all []storage.Record
	for rec, err := range store.All(context.Background()) {
		if err != nil {
			k.t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}
