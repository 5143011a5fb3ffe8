package tus_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestStore_HostileRecordsDoNoHarm(t *testing.T) {
	data := randomBytes(10_000)
	const nowhere = "http://127.0.0.1:1/x"
	part := func(offset, size int64) storage.Part {
		return storage.Part{Offset: offset, Size: size, UploadURL: fmt.Sprint(nowhere, offset)}
	}
	parts := func(all ...storage.Part) func(*storage.Record) {
		return func(r *storage.Record) { r.UploadURL, r.Parts = "", all }
	}
	for name, spoil := range map[string]func(*storage.Record){
		"no URL":             func(r *storage.Record) { r.UploadURL = "" },
		"not a URL":          func(r *storage.Record) { r.UploadURL = "http://[::1" },
		"relative":           func(r *storage.Record) { r.UploadURL = "/files/00000001" },
		"control characters": func(r *storage.Record) { r.UploadURL += "\r\nX-Injected: yes" },
		"another scheme":     func(r *storage.Record) { r.UploadURL = "file:///etc/passwd" },
		"a script":           func(r *storage.Record) { r.UploadURL = "javascript:alert(1)" },
		"no host":            func(r *storage.Record) { r.UploadURL = "http:///files/1" },
		"very long URL":      func(r *storage.Record) { r.UploadURL += "?" + strings.Repeat("x", 1<<20) },
		"huge":               func(r *storage.Record) { r.Size = math.MaxInt64 },
		"empty":              func(r *storage.Record) { r.Size = 0 },
		"length deferred":    func(r *storage.Record) { r.LengthDeferred = true },
		"last revision":      func(r *storage.Record) { r.Revision = math.MaxInt64 - 1 },
		"concatenating":      func(r *storage.Record) { r.Finishing = true },
		"hole":               parts(part(0, 5000), part(5001, 4999)),
		"start missing":      parts(part(1, 9999)),
		"end missing":        parts(part(0, 5000), part(5000, 4999)),
		"empty part":         parts(part(0, 5000), part(5000, 0), part(5001, 5000)),
		"one URL for two parts": parts(storage.Part{Size: 5000, UploadURL: nowhere},
			storage.Part{Offset: 5000, Size: 5000, UploadURL: nowhere}),
		"parts with unusable URLs": parts(storage.Part{Size: 5000, UploadURL: "ftp://host/1"},
			storage.Part{Offset: 5000, Size: 5000, UploadURL: "http://[::1"}),
		"parts without URLs": parts(storage.Part{Size: 5000}, storage.Part{Offset: 5000, Size: 5000}),
		"parts of another length": func(r *storage.Record) {
			parts(part(0, 5000), part(5000, 5000))(r)
			r.Parts[0].UploadURL, r.Parts[1].UploadURL = r.Endpoint+"00000001", r.Endpoint+"00000002"
		},
		"part of the whole size": func(r *storage.Record) {
			url := r.UploadURL
			parts(part(0, 5000), part(5000, 5000))(r)
			r.UploadURL, r.Parts[0].UploadURL, r.Parts[1].UploadURL = url, url, ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, memory := tustest.NewServer(t, nil), &storage.Memory{}
			stoppedAt(t, srv.Endpoint(), memory, tus.Bytes(data), 3000)
			rec := records(t, memory)[0]
			rec.Seal = ""
			spoil(&rec)
			store := &scripted{Store: memory, find: func(next func() ([]storage.Record, error)) ([]storage.Record, error) {
				return []storage.Record{rec.Clone()}, nil // bypasses the checks of the store
			}}
			opts := chunked()
			res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			for _, r := range srv.Requests() {
				if r.Header.Get("X-Injected") != "" {
					t.Errorf("header was injected into %+v", r)
				}
			}
		})
	}
}

func TestStore_SecretUploadURLIsInRecordAndEventOnly(t *testing.T) {
	const query = "?signature=PLANTED-signature"
	located := tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "/files/00000001"+query)}
	for name, faults := range map[string][]tustest.Fault{
		"refused": {{Method: "PATCH", Skip: 3, Action: tustest.Respond(403, "")}},
		"fails":   {{Method: "PATCH", Skip: 3, Times: -1, Action: tustest.Respond(500, "")}},
		"cut":     {{Method: "PATCH", Skip: 3, Times: -1, Action: tustest.CutBefore()}, {Method: "HEAD", Times: -1, Action: tustest.CutBefore()}},
		"none":    nil,
	} {
		for _, broken := range []string{"", "put", "delete"} {
			t.Run(name+"/"+broken, func(t *testing.T) {
				srv, memory, data := tustest.NewServer(t, nil), &storage.Memory{}, randomBytes(10_000)
				srv.Inject(append([]tustest.Fault{located}, faults...)...)
				var texts []string
				note := func(what any) {
					texts = append(texts, fmt.Sprintf("%v %+v %#v", what, what, what))
				}
				var urls []string
				hooks := tus.Hooks{
					OnCreated:     func(_ *tus.Uploader, c *tus.Created) { urls = append(urls, c.URL) },
					OnRetry:       func(_ *tus.Uploader, r tus.Retry) { note(r); note(r.Err) },
					OnStateChange: func(_ *tus.Uploader, _, _ tus.State, err error) { note(err) },
					OnProgress:    func(_ *tus.Uploader, p tus.Progress) { note(p) },
					OnStoreError:  func(_ *tus.Uploader, err error) { note(err) },
				}
				store := failing(memory, broken, 1, errors.New("disk full"))
				for range 2 {
					_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Hooks: hooks}).Upload(testContext(t), tus.Bytes(data), chunked())
					note(err)
					for _, rec := range records(t, memory) {
						if strings.Contains(rec.UploadURL, "/00000001") && !strings.HasSuffix(rec.UploadURL, query) {
							t.Errorf("stored URL is %s", rec.UploadURL)
						}
					}
				}
				if len(urls) == 0 || !strings.HasSuffix(urls[0], query) {
					t.Errorf("OnCreated got URLs %q", urls)
				}
				for _, text := range texts {
					if strings.Contains(text, planted) {
						t.Errorf("secret shows in %s", text)
					}
				}
			})
		}
	}
}

func TestStore_RecordsHoldNoHeaders(t *testing.T) {
	data := randomBytes(unequalSize)
	for name, upload := range map[string]*tus.UploadOptions{"whole": {ChunkSize: 250}, "parts": unequal()} {
		srv, encoded := finalLast(t), 0
		store := &scripted{Store: &storage.Memory{}, put: func(rec storage.Record, next put) (storage.Record, error) {
			rec.Revision = 1
			text, err := storage.Encode(rec)
			if err != nil {
				t.Error(err)
			}
			encoded++
			if strings.Contains(string(text), planted) {
				t.Errorf("%s: record is %s", name, text)
			}
			return next()
		}}
		opts := secretOptions()
		opts.Store = store
		endpoint := strings.Replace(srv.Endpoint(), "http://", "http://me:PLANTED@", 1)
		if _, err := newClient(t, endpoint, opts).Upload(testContext(t), tus.Bytes(data), upload); err != nil {
			t.Fatal(err)
		}
		if encoded == 0 {
			t.Errorf("%s: nothing was stored", name)
		}
	}
}
