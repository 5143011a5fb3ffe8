package interop_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// draftSize is two and a half chunks.
const (
	draftChunk = 100 << 10
	draftSize  = 250 << 10
)

// drafts returns the versions of the IETF draft that tus-js-client speaks.
func drafts() map[string]int { return map[string]int{"ietf-draft-03": 5, "ietf-draft-05": 6} }

// The server tests the Go client by the draft. As tus-js-client is of other authors, it does
// not repeat their mistakes.
func TestDraft_TusJSUploadsToTustest(t *testing.T) {
	js := newTusJS(t)
	for protocol, interop := range drafts() {
		for name, test := range map[string]struct {
			size int
			task task
		}{
			"whole":                   {draftSize, task{}},
			"one byte":                {1, task{}},
			"in chunks":               {draftSize, task{Buffer: true, ChunkSize: draftChunk}},
			"in full chunks":          {3 * draftChunk, task{Buffer: true, ChunkSize: draftChunk}},
			"created with the data":   {draftSize, task{WithCreation: true}},
			"created with a chunk":    {draftSize, task{Buffer: true, WithCreation: true, ChunkSize: draftChunk}},
			"of unknown size":         {draftSize, task{DeferLength: true, ChunkSize: draftChunk}},
			"of one byte, unknown":    {1, task{DeferLength: true, ChunkSize: draftChunk}},
			"with a name and no type": {draftSize, task{Metadata: metadata()}},
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				srv := newDraftServer(t, interop, tustest.DialectDraft)
				todo, file := test.task, newDraftFile(t, test.size)
				todo.Protocol, todo.Endpoint, todo.File = protocol, srv.Endpoint(), file
				srv.wantComplete(t, js.run(t, t.Context(), todo), file)
			})
		}
	}
}

func TestDraft_TusJSResumesOnTustest(t *testing.T) {
	js := newTusJS(t)
	for protocol, interop := range drafts() {
		for name, dialect := range map[string]tustest.Dialect{
			"draft": tustest.DialectDraft, "tusd": tustest.DialectTusd, "SwiftNIO": tustest.DialectSwiftNIO,
			"mute": tustest.DialectMute, "silent": tustest.DialectSilent, "slip": tustest.DialectSlip,
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				srv := newDraftServer(t, interop, dialect)
				file := newDraftFile(t, draftSize)
				todo := task{Protocol: protocol, Endpoint: srv.Endpoint(), File: file, Buffer: true, ChunkSize: draftChunk, StopAt: draftChunk}
				paused := js.run(t, t.Context(), todo)
				if up, _ := srv.Upload(paused.URL); paused.Complete || up.Complete() || len(up.Data) == 0 {
					t.Fatalf("paused upload has %d bytes, complete %v", len(up.Data), up.Complete())
				}
				todo.Endpoint, todo.URL, todo.StopAt = "", paused.URL, 0
				srv.wantComplete(t, js.run(t, t.Context(), todo), file)
			})
		}
	}
}

func TestDraft_TusJSSurvivesFaultsOfTustest(t *testing.T) {
	js := newTusJS(t)
	for protocol, interop := range drafts() {
		for name, action := range map[string]tustest.Action{
			"cut":              tustest.CutAfter(draftChunk),
			"cut with notices": tustest.Notify(1000, tustest.CutAfter(draftChunk)),
			"lost response":    tustest.LoseResponse(),
			"invalid offset":   tustest.SetHeader("Upload-Offset", "x"),
		} {
			t.Run(protocol+", "+name, func(t *testing.T) {
				srv := newDraftServer(t, interop, tustest.DialectDraft)
				srv.Inject(tustest.Fault{Method: "PATCH", Action: action})
				file := newDraftFile(t, draftSize)
				got := js.run(t, t.Context(), task{Protocol: protocol, Endpoint: srv.Endpoint(), File: file, Buffer: true, ChunkSize: 2 * draftChunk, Retries: 3})
				srv.wantContent(t, got, file)
				if srv.Count("HEAD") == 0 {
					t.Error("client did not ask for the offset")
				}
			})
		}
	}
}

// draftServer is a tustest server of one version of the draft.
type draftServer struct{ *tustest.Server }

func newDraftServer(t *testing.T, interop int, dialect tustest.Dialect) draftServer {
	return draftServer{tustest.NewServer(t, &tustest.Options{Interop: []int{interop}, Draft: tustest.DraftOptions{Dialect: dialect}})}
}

func newDraftFile(t *testing.T, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.bin")
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantContent fails unless there is one upload, which is complete and has the bytes of the
// file.
func (s draftServer) wantContent(t *testing.T, got outcome, file string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	up, _ := s.Upload(got.URL)
	if !got.Complete || !up.Complete() || !bytes.Equal(up.Data, want) {
		t.Errorf("upload has %d of %d bytes, complete %v, and for the client %v", len(up.Data), len(want), up.Complete(), got.Complete)
	}
	if n := len(s.Uploads()); n != 1 {
		t.Errorf("%d uploads", n)
	}
}

// wantComplete is wantContent for an upload by successful requests of the draft, which resent
// nothing.
func (s draftServer) wantComplete(t *testing.T, got outcome, file string) {
	t.Helper()
	s.wantContent(t, got, file)
	up, _ := s.Upload(got.URL)
	sent := int64(0)
	for _, r := range s.Requests() {
		sent += r.Body
		if r.Status >= 300 || r.Status == 0 || r.Header.Get("Upload-Draft-Interop-Version") != fmt.Sprint(up.Interop) {
			t.Errorf("%s %s has status %d, header %v", r.Method, r.Path, r.Status, r.Header)
		}
	}
	if sent != int64(len(up.Data)) {
		t.Errorf("client sent %d bytes of %d", sent, len(up.Data))
	}
}
