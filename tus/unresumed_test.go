package tus_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// warning returns a logger of warnings and its output.
func warning() (*slog.Logger, *bytes.Buffer) {
	var log bytes.Buffer
	return slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), &log
}

func TestStoredUpload_StartingOverIsLoggedAndCounted(t *testing.T) {
	data := randomBytes(10_000)
	for name, test := range map[string]struct {
		spoil  func(srv *tustest.Server, rec *storage.Record)
		opts   tus.UploadOptions
		reason string
	}{
		"no URL":         {func(_ *tustest.Server, r *storage.Record) { r.UploadURL = "" }, tus.UploadOptions{}, "no upload URL"},
		"unusable URL":   {func(_ *tustest.Server, r *storage.Record) { r.UploadURL = "ftp://host/1" }, tus.UploadOptions{}, "unusable"},
		"gone":           {func(s *tustest.Server, r *storage.Record) { s.Forget(r.UploadURL) }, tus.UploadOptions{}, "no longer has it"},
		"another size":   {func(_ *tustest.Server, r *storage.Record) { r.Size = 9 }, tus.UploadOptions{}, "9 bytes"},
		"hole":           {func(_ *tustest.Server, r *storage.Record) { r.Parts = []storage.Part{{Offset: 1, Size: 9999}} }, tus.UploadOptions{}, "parts"},
		"another length": {func(s *tustest.Server, r *storage.Record) { r.UploadURL = other(t, s, 5, nil) }, tus.UploadOptions{}, "another size than the upload"},
		"another record": {func(*tustest.Server, *storage.Record) {}, tus.UploadOptions{Previous: &tus.Previous{}}, "no longer stored"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			stoppedAt(t, srv.Endpoint(), store, tus.Bytes(data), 3000)
			rec := records(t, store)[0]
			rec.Seal = ""
			test.spoil(srv, &rec)
			if _, err := store.Put(context.Background(), rec); err != nil {
				t.Fatal(err)
			}
			log, text := warning()
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Logger: log})
			if test.opts.Previous != nil {
				previous, err := client.PreviousUploads(testContext(t), tus.Bytes(data), nil)
				if err != nil || len(previous) != 1 {
					t.Fatalf("previous uploads are %+v, %v", previous, err)
				}
				previous[0].ID = "another"
				test.opts.Previous = &previous[0]
			}
			res, err := client.Upload(testContext(t), tus.Bytes(data), &test.opts)
			if err != nil || res.Stats.ResumedFrom != 0 || res.Stats.NotResumed != 1 {
				t.Errorf("result is %+v, %v", res, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			for _, want := range []string{`msg="tus stored upload not resumed" name="" reason=`, `msg="tus starting over: `} {
				if _, line, ok := strings.Cut(text.String(), want); !ok || !strings.Contains(line, test.reason) {
					t.Errorf("no %s… %s in the log:\n%s", want, test.reason, text)
				}
			}
			if test.opts.Previous == nil {
				wantEmptyStore(t, store)
			}
		})
	}
}

// other creates an upload of a size and returns its URL.
func other(t *testing.T, srv *tustest.Server, size int, metadata tus.Metadata) string {
	t.Helper()
	up := created(t, newClient(t, srv.Endpoint(), nil), tus.Bytes(randomBytes(size)),
		&tus.UploadOptions{Metadata: metadata, CreationLimit: -1})
	return up.URL()
}

// Swapped records are found without metadata as well.
func TestStoredUpload_SealOfSwappedRecordsDoesNotMatch(t *testing.T) {
	for name, opts := range map[string]*tus.UploadOptions{"one piece": {ChunkSize: 1000, StopAt: 3000}, "parts": nil} {
		srv, store := finalLast(t), &storage.Memory{}
		sources := [][]byte{randomBytes(unequalSize), bytes.Repeat([]byte("other"), unequalSize/5)}
		client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
		for _, data := range sources {
			if opts == nil {
				interruptedInParts(t, srv, store, data)
				continue
			}
			_, err := client.Upload(testContext(t), tus.Bytes(data), opts)
			wantError(t, err, tus.ErrPaused)
		}
		recs := records(t, store)
		recs[0].UploadURL, recs[1].UploadURL = recs[1].UploadURL, recs[0].UploadURL
		recs[0].Parts, recs[1].Parts = recs[1].Parts, recs[0].Parts
		for _, rec := range recs {
			if _, err := store.Put(context.Background(), rec); err != nil {
				t.Fatal(err)
			}
		}
		for _, data := range sources {
			res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
			if err != nil || res.Stats.NotResumed != 1 {
				t.Fatalf("%s: result is %+v, %v", name, res, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		}
		wantEmptyStore(t, store)
	}
}

func TestStoredUpload_GonePartIsLogged(t *testing.T) {
	srv, store, data := finalLast(t), &storage.Memory{}, randomBytes(4000)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: 1, Action: tustest.Respond(403, "")})
	opts := inParts(2)
	opts.ChunkSize = 500
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store}).Upload(testContext(t), tus.Bytes(data), opts)
	wantError(t, err, tus.ErrUnauthorized)
	srv.Forget(records(t, store)[0].Parts[1].UploadURL)
	log, text := warning()
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Logger: log}).Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil || res.Stats.Restarts != 1 {
		t.Fatalf("result is %+v, %v", res, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
	if !strings.Contains(text.String(), "tus starting over: part at offset 2000: the server no longer has it") {
		t.Errorf("log is %s", text)
	}
}

// If the URLs of two records of the same size are swapped, nothing is mixed.
func TestStoredUpload_SwappedRecordsMakeNoMixture(t *testing.T) {
	const size = 10_000
	sources := map[string][]byte{"one": randomBytes(size), "two": randomBytes(size)}
	for name, options := range map[string]func(name string) *tus.UploadOptions{
		"metadata": func(name string) *tus.UploadOptions {
			return &tus.UploadOptions{Metadata: tus.Metadata{"filename": name}}
		},
		"both same": func(name string) *tus.UploadOptions {
			return &tus.UploadOptions{Metadata: tus.Metadata{"filetype": "text/plain", "filename": name}}
		},
		"resume key": func(name string) *tus.UploadOptions {
			return &tus.UploadOptions{ResumeKey: name, Metadata: tus.Metadata{"filename": name}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			log, text := warning()
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store, Logger: log})
			for name, data := range sources {
				opts := options(name)
				opts.ChunkSize = 1000
				opts.StopAt = 3000
				_, err := client.Upload(testContext(t), tus.Bytes(data), opts)
				wantError(t, err, tus.ErrPaused)
			}
			recs := records(t, store)
			recs[0].UploadURL, recs[1].UploadURL = recs[1].UploadURL, recs[0].UploadURL
			for _, rec := range recs {
				rec.Seal = ""
				if _, err := store.Put(context.Background(), rec); err != nil {
					t.Fatal(err)
				}
			}
			for name, data := range sources {
				res, err := client.Upload(testContext(t), tus.Bytes(data), options(name))
				if err != nil || res.Stats.NotResumed != 1 {
					t.Fatalf("result is %+v, %v", res, err)
				}
				wantStored(t, srv.Handler, res.URL, data)
			}
			if n := strings.Count(text.String(), "tus starting over: metadata"); n != 2 {
				t.Errorf("log is %s", text)
			}
			wantEmptyStore(t, store)
		})
	}
}

// A server may return any part of the metadata, but no different value.
func TestStoredUpload_MetadataOfServerIsCompared(t *testing.T) {
	data := randomBytes(10_000)
	sent := tus.Metadata{"filename": "a.txt", "filetype": "text/plain", "empty": ""}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, test := range map[string]struct {
		header  string
		resumes bool
	}{
		"none":                  {"", true},
		"another order":         {"filetype " + encode("text/plain") + ",filename " + encode("a.txt"), true},
		"keys added":            {tus.FormatMetadata(sent) + ",expires " + encode("tomorrow"), true},
		"without padding":       {"filename " + strings.TrimRight(encode("a.txt"), "="), true},
		"some dropped":          {"filetype " + encode("text/plain"), true},
		"value dropped":         {"filename,filetype " + encode("text/plain"), true},
		"not decodable":         {"filename %%%", true},
		"another value":         {"filename " + encode("b.txt"), false},
		"one of two values":     {"filename " + encode("a.txt") + ",filetype " + encode("text/html"), false},
		"value of an empty key": {"empty " + encode("full"), false},
	} {
		t.Run(name, func(t *testing.T) {
			srv, store := tustest.NewServer(t, nil), &storage.Memory{}
			opts := &tus.UploadOptions{Metadata: sent, ChunkSize: 1000, StopAt: 3000}
			client := newClient(t, srv.Endpoint(), &tus.Options{Store: store})
			_, err := client.Upload(testContext(t), tus.Bytes(data), opts)
			wantError(t, err, tus.ErrPaused)
			srv.Inject(tustest.Fault{Method: "HEAD", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				h.Serve(metadataWriter{w, test.header}, r)
			}})
			opts.StopAt = 0
			res, err := client.Upload(testContext(t), tus.Bytes(data), opts)
			if err != nil || (res.Stats.ResumedFrom == 3000) != test.resumes {
				t.Errorf("result is %+v, %v", res, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
		})
	}
}

// metadataWriter adds an Upload-Metadata header to the response.
type metadataWriter struct {
	http.ResponseWriter
	value string
}

func (w metadataWriter) WriteHeader(status int) {
	w.Header().Del("Upload-Metadata")
	if w.value != "" {
		w.Header().Set("Upload-Metadata", w.value)
	}
	w.ResponseWriter.WriteHeader(status)
}
