package tus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// TestRandomFaultsNeverChangeTheBytes uploads in every way to servers with
// faults of every kind, pausing now and then. An upload may fail; one that
// succeeds must be the source. TUS_SEED sets the first seed, TUS_ROUNDS how
// many are tried.
func TestRandomFaultsNeverChangeTheBytes(t *testing.T) {
	fromEnv := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	complete := 0
	first, rounds := fromEnv("TUS_SEED", 1), fromEnv("TUS_ROUNDS", 40)
	for seed := first; seed < first+rounds; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			if uploadWithFaults(t, rand.New(rand.NewPCG(uint64(seed), 0))) {
				complete++
			}
		})
	}
	if complete < rounds/3 {
		t.Errorf("only %d of %d uploads were completed", complete, rounds)
	}
}

// uploadWithFaults is one round: up to six uploads of a source, until one is
// complete.
func uploadWithFaults(t *testing.T, random *rand.Rand) (complete bool) {
	sizes := []int{0, 1, 999, 1000, 1001, 50_000, 200_000, 1_500_000}
	data := randomBytes(sizes[random.IntN(len(sizes))])
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	extensions := [][]string{nil, nil, tustest.Without("checksum", "checksum-trailer"), tustest.Without("checksum-trailer"), {"creation"}}
	srv := tustest.NewServer(t, &tustest.Options{Extensions: extensions[random.IntN(len(extensions))]})
	for range random.IntN(8) {
		srv.Inject(randomFault(random, len(data)))
	}
	opts := &tus.Options{StallTimeout: 5 * time.Second}
	if random.IntN(2) == 0 {
		opts.Checksums = checksum.Builtin()
	}
	client := newClient(t, srv.Endpoint(), opts)
	how := randomOptions(random, len(data))
	ctx := testContext(t)
	for range 6 {
		source := []tus.Source{tus.File(path), tus.Bytes(data), tus.ReadSeeker(bytes.NewReader(data), int64(len(data))), tus.Reader(bytes.NewReader(data))}[random.IntN(4)]
		u, err := client.NewUploader(source, how)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			limit := time.Minute
			if random.IntN(3) == 0 {
				limit = time.Duration(random.IntN(3000)) * time.Microsecond
			}
			runCtx, cancel := context.WithTimeout(ctx, limit)
			_, err = u.Run(runCtx)
			cancel()
			if u.State() != tus.StatePaused {
				break
			}
		}
		switch {
		case ctx.Err() != nil:
			t.Fatalf("upload with %+v hangs in state %v", how, u.State())
		case errors.Is(err, tus.ErrSourceChanged), errors.Is(err, tus.ErrSourceMismatch):
			t.Fatalf("upload with %+v ends with %v", how, err)
		case err == nil:
			wantStored(t, srv.Handler, u.URL(), data)
			return true
		}
	}
	return false
}

func randomFault(random *rand.Rand, size int) tustest.Fault {
	n := random.Int64N(int64(size) + 1)
	methods := []string{"POST", "PATCH", "PATCH", "PATCH", "HEAD", "OPTIONS", ""}
	actions := []tustest.Action{
		tustest.CutBefore(), tustest.CutAfter(n), tustest.LoseResponse(), tustest.AcceptOnly(n),
		tustest.Respond(500, ""), tustest.RespondAfter(503, ""), tustest.Respond(409, ""), tustest.Respond(423, ""),
		tustest.RespondAfter(460, ""), tustest.Respond(429, "", "Retry-After", "0"), tustest.SetStatus(500),
		tustest.Respond(400, "ERR_UPLOAD_INTERRUPTED"), tustest.Respond(404, ""), tustest.RespondAfter(413, ""),
		func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Truncate(r.URL.Path, n/2)
			h.Serve(w, r)
		},
		func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			h.Forget(r.URL.Path)
			h.Serve(w, r)
		},
	}
	return tustest.Fault{
		Method: methods[random.IntN(len(methods))], Skip: random.IntN(4), Times: 1 + random.IntN(3),
		Action: actions[random.IntN(len(actions))],
	}
}

func randomOptions(random *rand.Rand, size int) *tus.UploadOptions {
	chunks := []int64{0, 0, 1000, 30_000, 1 << 20}
	opts := &tus.UploadOptions{
		ChunkSize:          chunks[random.IntN(len(chunks))],
		CreationWithUpload: tus.CreationWithUpload(random.IntN(3)),
	}
	if size > 100_000 {
		opts.ChunkSize *= 10
	}
	if random.IntN(3) == 0 {
		opts.MinChunkSize = max(500, opts.ChunkSize/8)
	}
	switch random.IntN(4) {
	case 0:
		opts.Parallel, opts.ParallelBestEffort, opts.MinPartSize = 3, true, 10_000
	case 1:
		opts.StopAt = random.Int64N(int64(size) + 1)
	case 2:
		opts.DeferLength = true
	}
	return opts
}
