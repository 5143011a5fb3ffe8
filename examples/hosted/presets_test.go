package hosted_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/hosted"
	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// presetRow has what one preset is tested with.
type presetRow struct {
	preset presets.Preset
	rules  strict.Rules
	client tus.Options // what a program sets
	upload tus.UploadOptions
	id     string               // what Preset.ID returns
	broken map[string]violation // settings that break a rule
}

// violation changes settings so that they break a rule of the service.
type violation struct {
	change func(*hosted.Service)
	size   int64 // of the file; 0 means 13 MiB
}

// set returns a violation that changes the options of an upload.
func set(change func(*tus.UploadOptions)) violation {
	return violation{change: func(s *hosted.Service) { change(&s.Upload) }}
}

// metadata returns a violation that replaces the metadata. pairs alternates keys and values.
func metadata(pairs ...string) violation {
	return set(func(o *tus.UploadOptions) {
		o.Metadata = tus.Metadata{}
		for i := 0; i < len(pairs); i += 2 {
			o.Metadata[pairs[i]] = pairs[i+1]
		}
	})
}

// withoutField returns a violation that removes a header field.
func withoutField(name string) violation {
	return violation{change: func(s *hosted.Service) {
		s.Client.Header = s.Client.Header.Clone()
		s.Client.Header.Del(name)
	}}
}

// deferred returns a violation that defers the length, which the server claims to support.
func deferred() violation {
	return violation{change: func(s *hosted.Service) {
		s.Upload.DeferLength = true
		s.Client.Capabilities = &tus.Capabilities{Versions: []string{"1.0.0"}, Extensions: []string{"creation", "creation-defer-length"}}
	}}
}

// created returns a violation that creates an upload.
func created() violation {
	return violation{change: func(s *hosted.Service) { s.UploadURL, s.Upload.Hooks = "", tus.Hooks{} }}
}

func chunkSize(n int64) violation {
	return set(func(o *tus.UploadOptions) { o.ChunkSize = n })
}

func firstChunk(n int64) violation {
	return set(func(o *tus.UploadOptions) { o.FirstChunkInCreation, o.CreationLimit = true, n })
}

func token() tus.Options {
	return tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}}
}

// presetTable has a row for each preset, in the order of presets.All.
func presetTable() []presetRow {
	const (
		least    = 5_242_880
		most     = 209_715_200
		multiple = 262_144
	)
	cloudflareChunks := func(more map[string]violation) map[string]violation {
		more["chunk too small"] = chunkSize(least - multiple)
		more["chunk no multiple"] = chunkSize(least + 1)
		more["round chunk"] = chunkSize(6_000_000)
		more["chunk too large"] = violation{change: chunkSize(most + multiple).change, size: most + multiple}
		more["stop in a chunk"] = set(func(o *tus.UploadOptions) { o.StopAt = 1000 })
		return more
	}
	return []presetRow{
		{
			preset: presets.BunnyStream(), rules: strict.BunnyStream(),
			client: tus.Options{Header: http.Header{
				"AuthorizationSignature": {"00ff"}, "AuthorizationExpire": {"1767225600"}, "LibraryId": {"4711"}, "VideoId": {"a-video"},
			}},
			upload: tus.UploadOptions{Metadata: tus.Metadata{"title": "A title", "filetype": "video/mp4"}},
			broken: map[string]violation{
				"no title":    metadata("filetype", "video/mp4"),
				"no filetype": metadata("title", "A title"),
				"empty title": metadata("filetype", "video/mp4", "title", ""),
				"no metadata": set(func(o *tus.UploadOptions) { o.Metadata = nil }),
				"no video":    {change: func(s *hosted.Service) { delete(s.Client.Header, "VideoId") }},
				"no signature": {change: func(s *hosted.Service) {
					s.Upload.Header = http.Header{"authorizationsignature": nil} // removes the one of the client
				}},
			},
		},
		{
			preset: presets.CloudflareDirect(), rules: strict.CloudflareDirect(),
			broken: cloudflareChunks(map[string]violation{"creation": created()}),
		},
		{
			preset: presets.CloudflareStream(), rules: strict.CloudflareStream(), client: token(),
			upload: tus.UploadOptions{ChunkSize: least},
			id:     "the-id",
			broken: cloudflareChunks(map[string]violation{
				"no token": withoutField("Authorization"), "deferred length": deferred(), "small first chunk": firstChunk(1 << 20),
			}),
		},
		{
			preset: presets.OCIS(), rules: strict.OCIS(), client: token(), id: "the-id",
			broken: map[string]violation{
				"no filename": metadata("mtime", "1767225600"), "empty metadata": metadata(), "deferred length": deferred(),
			},
		},
		{
			preset: presets.Supabase(), rules: strict.Supabase(), client: token(),
			upload: tus.UploadOptions{Metadata: tus.Metadata{"bucketName": "films", "objectName": "2026/movie.mp4"}},
			broken: map[string]violation{
				"smaller chunks":    chunkSize(5 << 20),
				"larger chunks":     chunkSize(12 << 20),
				"one request":       chunkSize(1 << 30),
				"small first chunk": firstChunk(1 << 20),
				"stop in a chunk":   set(func(o *tus.UploadOptions) { o.StopAt = 7 << 20 }),
				"no metadata":       set(func(o *tus.UploadOptions) { o.Metadata = nil }),
				"no bucketName":     metadata("objectName", "2026/movie.mp4"),
				"no objectName":     metadata("bucketName", "films"),
				"no token":          withoutField("Authorization"),
			},
		},
		{
			preset: presets.Transloadit(), rules: strict.Transloadit(),
			upload: tus.UploadOptions{Metadata: tus.Metadata{
				"assembly_url": "https://api2.transloadit.com/assemblies/1", "fieldname": "file", "filename": "movie.mp4",
			}},
			broken: map[string]violation{
				"no metadata":     set(func(o *tus.UploadOptions) { o.Metadata = nil }),
				"no assembly_url": metadata("fieldname", "file", "filename", "movie.mp4"),
				"no fieldname":    metadata("assembly_url", "https://api2.transloadit.com/assemblies/1", "filename", "movie.mp4"),
				"no filename":     metadata("assembly_url", "https://api2.transloadit.com/assemblies/1", "fieldname", "file"),
			},
		},
		{
			preset: presets.Vimeo(), rules: strict.Vimeo(),
			broken: map[string]violation{"creation": created()},
		},
	}
}

// start starts a server with the rules of the row, and returns the settings for it.
func (row presetRow) start(t *testing.T, size int64) (*strict.Server, hosted.Service) {
	srv := strict.NewServer(t, row.rules)
	s := hosted.Service{Preset: row.preset, Endpoint: srv.Endpoint(), Client: row.client, Upload: row.upload}
	s.Client.Header = row.client.Header.Clone()
	if row.preset.ExternalCreation {
		s.UploadURL = srv.CreateUpload(size)
	}
	return srv, s
}

func TestPresets_TableHasEachPreset(t *testing.T) {
	rows := presetTable()
	if len(rows) != len(presets.All()) {
		t.Errorf("%d rows for %d presets", len(rows), len(presets.All()))
	}
	for i, p := range presets.All() {
		if rows[i].preset.Name != p.Name || len(rows[i].broken) == 0 {
			t.Errorf("row %d is %s with %d violations, not %s", i, rows[i].preset.Name, len(rows[i].broken), p.Name)
		}
	}
}

func TestPresets_ServerAcceptsEverySize(t *testing.T) {
	for _, row := range presetTable() {
		sizes := []int64{0, 1, 13 * mib}
		switch c := cmp.Or(row.upload.ChunkSize, row.preset.ChunkSize); {
		case c > 10*mib:
			sizes = append(sizes, c+1)
		case c > 0:
			sizes = append(sizes, c-1, c, c+1, 2*c, 3*c-1)
		}
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d", row.preset.Name, size), func(t *testing.T) {
				srv, s := row.start(t, size)
				result := wantUploaded(t, srv, s, size)
				if id := row.preset.ID(result); id != row.id && size > 0 {
					t.Errorf("the ID is %q", id)
				}
			})
		}
	}
}

// A preset refuses no chunk that the service accepts.
func TestPresets_ChunkBoundsAreThoseOfServer(t *testing.T) {
	for _, row := range presetTable() {
		p, rule := row.preset, row.rules.Chunk
		if limited := p.ChunkMin > 0 || p.ChunkMax > 0 || p.ChunkMultiple > 0; !limited || rule == nil {
			if limited || rule != nil {
				t.Errorf("%s: only one of preset and server limits chunks", p.Name)
			}
			continue
		}
		step := max(p.ChunkMultiple, 1)
		for size, accepted := range map[int64]bool{
			p.ChunkMin: true, p.ChunkMax: true, p.ChunkSize: true, p.ChunkMin - step: false, p.ChunkMax + step: false, p.ChunkMax - 1: false,
		} {
			if err := rule(size, false); (err == nil) != accepted {
				t.Errorf("%s: %d bytes: %v", p.Name, size, err)
			}
		}
	}
}

func TestPresets_UnknownSizeIsNotCreated(t *testing.T) {
	for _, row := range presetTable() {
		if !row.preset.SizeRequired || row.preset.ExternalCreation {
			continue
		}
		t.Run(row.preset.Name, func(t *testing.T) {
			srv, s := row.start(t, 0)
			s.Upload.Metadata = tus.Metadata{"filename": "movie.mp4"}
			if err := s.Preset.Apply(&s.Client, &s.Upload); err != nil {
				t.Fatal(err)
			}
			client, err := tus.NewClient(s.Endpoint, &s.Client)
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdleConnections()
			stream := io.LimitReader(rand.NewChaCha8([32]byte{}), 13*mib)
			if _, err := client.Upload(testContext(t), tus.Reader(stream), &s.Upload); !errors.Is(err, tus.ErrUnsupported) {
				t.Errorf("error is %v", err)
			}
			if srv.Count(http.MethodPost) > 0 || len(srv.Broken()) > 0 {
				t.Errorf("an upload was created, or refused: %v", srv.Broken())
			}
		})
	}
}

// storeOnly stores the first n bytes of a body, and discards the rest.
func storeOnly(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		body := r.Body
		r.Body = io.NopCloser(io.LimitReader(body, n))
		h.Serve(w, r)
		io.Copy(io.Discard, body)
	}
}

func TestPresets_InterruptionBreaksNoRule(t *testing.T) {
	for _, row := range presetTable() {
		for name, action := range map[string]tustest.Action{
			"cut in a chunk":  tustest.CutAfter(2*mib + 1),
			"lost response":   tustest.LoseResponse(),
			"nothing stored":  tustest.CutBefore(),
			"stored in part":  storeOnly(mib),
			"lock held (409)": tustest.Respond(409, "locked"),
		} {
			t.Run(row.preset.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				const size = 20 * mib
				srv, s := row.start(t, size)
				fault := tustest.Fault{Method: "PATCH", Action: action}
				if row.preset.ChunkSize > 0 && row.preset.ChunkMin != row.preset.ChunkMax {
					s.Upload.ChunkSize = 5 * mib // more than one chunk
				}
				if row.preset.ChunkSize > 0 {
					fault.From = 5 * mib // the second
				}
				srv.Inject(fault)
				wantUploaded(t, srv, s, size)
			})
		}
	}
}

// The preset reports before a request what the server would refuse.
func TestPresets_BrokenRuleIsFoundFirst(t *testing.T) {
	for _, row := range presetTable() {
		for name, v := range row.broken {
			if v.size == 0 {
				v.size = 13 * mib
			}
			path := filepath.Join(t.TempDir(), "movie.mp4")
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, v.size)); err != nil {
				t.Fatal(err)
			}
			t.Run(row.preset.Name+"/"+name, func(t *testing.T) {
				t.Parallel() // a server that refuses a body closes the connection after half a second
				srv, s := row.start(t, v.size)
				before := len(srv.Requests())
				v.change(&s)
				_, err := s.UploadFile(testContext(t), path)
				if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), row.preset.Name) {
					t.Errorf("error is %v", err)
				}
				if sent := len(srv.Requests()) - before; sent > 0 || len(srv.Broken()) > 0 {
					t.Errorf("%d requests were sent, refused %v", sent, srv.Broken())
				}

				srv, s = row.start(t, v.size)
				if err := s.Preset.Apply(&s.Client, &s.Upload); err != nil {
					t.Fatal(err)
				}
				v.change(&s)
				s.Preset, s.Client.Retry.MaxRetries = presets.Preset{}, -1
				if _, err := s.UploadFile(testContext(t), path); err == nil || len(srv.Broken()) == 0 {
					t.Errorf("without the preset, the server accepted the file (%v)", err)
				}
			})
		}
	}
}

// The first chunk may be in the creation.
func TestPresets_FirstChunkOfAcceptedSizeIsSent(t *testing.T) {
	for _, row := range presetTable() {
		if row.preset.ExternalCreation {
			continue
		}
		t.Run(row.preset.Name, func(t *testing.T) {
			srv, s := row.start(t, 0)
			s.Upload.FirstChunkInCreation = true
			result := wantUploaded(t, srv, s, 13*mib)
			if id := row.preset.ID(result); id != row.id {
				t.Errorf("the ID is %q", id)
			}
			if first := srv.Requests()[1]; first.Method != http.MethodPost || first.Body == 0 {
				t.Errorf("%s has %d bytes", first.Method, first.Body)
			}
		})
	}
}
