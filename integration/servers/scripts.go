//go:build unix

package servers

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// quirks are what servers do that cannot be installed from a package registry, as their source
// shows it.
type quirks struct {
	tustest.Options
	// forgets makes a finished upload unknown: HEAD is 404.
	forgets bool
	// uniqueNames refuses a creation with the filename of another upload with 409.
	uniqueNames bool
	// bare removes the header fields of the protocol from responses, and refuses OPTIONS.
	bare bool
	// required are metadata keys without which HEAD is 400.
	required []string
	// needed are metadata keys without which the creation is 412.
	needed []string
	// wholeBodies stores a body only if it arrives completely.
	wholeBodies bool
	// hiddenMetadata omits Upload-Metadata from the response to HEAD.
	hiddenMetadata bool
	// emptyLocation is the Location of an upload that its creation completes.
	emptyLocation bool
	// unixExpiry makes Upload-Expires a number of seconds.
	unixExpiry bool
	// mismatches is how many requests with a correct checksum are refused with 417.
	mismatches int
}

// script is a server with quirks in this process.
type script struct {
	*tustest.Handler
	quirks

	mu       sync.Mutex
	names    map[string]bool
	finished map[string]bool // forgotten, by ID
}

// start starts the server.
func (q quirks) start() *Running {
	s := &script{Handler: tustest.NewHandler(&q.Options), quirks: q, names: map[string]bool{}, finished: map[string]bool{}}
	server := httptest.NewServer(s)
	return &Running{
		Endpoint: server.URL + "/files/",
		Content:  s.content,
		Close: func() {
			s.Release()
			server.Close()
		},
	}
}

// content is that of [Running].
func (s *script) content(_ context.Context, uploadURL string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if uploadURL == "" {
		all := s.Uploads()
		return io.NopCloser(bytes.NewReader(all[len(all)-1].Data)), nil
	}
	u, ok := s.Upload(uploadURL)
	if !ok || u.Terminated && !s.finished[u.ID] {
		return nil, errors.New("upload does not exist")
	}
	return io.NopCloser(bytes.NewReader(u.Data)), nil
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := s.refusal(r); status != 0 {
		if !s.bare {
			w.Header().Set("Tus-Resumable", "1.0.0")
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	if s.wholeBodies {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	out := &rewriter{ResponseWriter: w, change: func(h http.Header) { s.rewrite(r, h) }}
	s.Handler.ServeHTTP(out, r)
}

// refusal returns the status of a response without effect, or 0.
func (s *script) refusal(r *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	metadata := r.Header.Get("Upload-Metadata")
	u, stored := s.Upload(r.URL.Path)
	if s.finished[u.ID] {
		return http.StatusNotFound
	}
	switch r.Method {
	case http.MethodOptions:
		if s.bare {
			return http.StatusMethodNotAllowed
		}
	case http.MethodPost:
		name := value(metadata, "filename")
		if s.uniqueNames && s.names[name] {
			return http.StatusConflict
		}
		s.names[name] = name != ""
		if slices.ContainsFunc(s.needed, func(key string) bool { return value(metadata, key) == "" }) {
			return http.StatusPreconditionFailed
		}
	case http.MethodHead:
		if stored && slices.ContainsFunc(s.required, func(key string) bool { return value(u.Metadata, key) == "" }) {
			return http.StatusBadRequest
		}
	case http.MethodPatch:
		if s.mismatches > 0 && r.Header.Get("Upload-Checksum") != "" {
			s.mismatches--
			return http.StatusExpectationFailed
		}
	}
	return 0
}

// rewrite changes the header of a response.
func (s *script) rewrite(r *http.Request, h http.Header) {
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		s.rewriteStored(r, h)
	}
	if s.hiddenMetadata {
		h.Del("Upload-Metadata")
	}
	if at, err := http.ParseTime(h.Get("Upload-Expires")); err == nil && s.unixExpiry {
		h.Set("Upload-Expires", strconv.FormatInt(at.Unix(), 10))
	}
	if s.bare {
		for name := range h {
			if strings.HasPrefix(name, "Tus-") {
				h.Del(name)
			}
		}
	}
}

// rewriteStored changes the header of a response to a request with bytes.
func (s *script) rewriteStored(r *http.Request, h http.Header) {
	location := r.URL.Path
	if r.Method == http.MethodPost {
		location = h.Get("Location")
	}
	u, ok := s.Upload(location)
	if !ok || !u.Complete() || r.ContentLength == 0 {
		return
	}
	if s.emptyLocation && r.Method == http.MethodPost {
		h.Set("Location", "")
	}
	if s.forgets {
		s.mu.Lock()
		s.finished[u.ID] = true
		s.mu.Unlock()
		s.Forget(u.ID)
	}
}

// value returns the value of a key in Upload-Metadata.
func value(metadata, key string) string {
	for pair := range strings.SplitSeq(metadata, ",") {
		if name, encoded, _ := strings.Cut(strings.TrimSpace(pair), " "); name == key {
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return ""
			}
			return string(decoded)
		}
	}
	return ""
}

// rewriter changes the header of a response before it is sent.
type rewriter struct {
	http.ResponseWriter
	change func(http.Header)
}

func (w *rewriter) WriteHeader(status int) {
	w.change(w.Header())
	w.ResponseWriter.WriteHeader(status)
}

// scriptVersion is the version of what is not a real server.
func scriptVersion() (string, error) { return "script", nil }

// scripts returns servers with the quirks of others.
func scripts() []Server {
	scripted := func(name, setup string, q quirks, flags ...string) Server {
		return Server{
			Name: name, Version: scriptVersion, Setup: setup, Scripted: true,
			Start: func(context.Context, string) (*Running, error) {
				r := q.start()
				r.Flags = flags
				return r, nil
			},
		}
	}
	return []Server{
		scripted("django-tus", "A new name for each file; `--chunk-size 4MiB`, as a request that is cut off leaves nothing.", quirks{
			Options: tustest.Options{Extensions: []string{"creation"}, AbsoluteLocation: true},
			forgets: true, uniqueNames: true, wholeBodies: true, hiddenMetadata: true,
		}),
		scripted("filebrowser", "`--capabilities creation`, and a new name for each file.", quirks{
			Options: tustest.Options{Extensions: []string{"creation"}},
			forgets: true, uniqueNames: true, bare: true, hiddenMetadata: true,
		}, "--capabilities", "creation"),
		scripted("SeaweedFS", "`--chunk-size 4MiB`, as a request that is cut off leaves nothing.", quirks{
			Options: tustest.Options{Extensions: []string{"creation", "creation-with-upload", "termination"}},
			forgets: true, wholeBodies: true, hiddenMetadata: true,
		}),
		scripted("tuspyserver", "`--metadata filetype=TYPE` for files whose type tusup does not detect, and `--metadata filename=NAME` for standard input.", quirks{
			Options:  tustest.Options{Extensions: tustest.Without("checksum", "checksum-trailer"), AbsoluteLocation: true, Expires: 5 * 24 * time.Hour},
			required: []string{"filename", "filetype"},
		}, "--metadata", "filetype=application/octet-stream"),
		scripted("ownCloud Infinite Scale", "`--metadata filename=NAME` for standard input.", quirks{
			Options: tustest.Options{Extensions: []string{"creation", "creation-with-upload", "expiration"}, AbsoluteLocation: true, Expires: 24 * time.Hour},
			needed:  []string{"filename"}, emptyLocation: true, unixExpiry: true, hiddenMetadata: true,
		}),
		scripted("rustus", "Nothing.", quirks{
			Options:    tustest.Options{Extensions: tustest.Without("expiration", "checksum-trailer", "concatenation-unfinished"), AbsoluteLocation: true},
			mismatches: 1,
		}),
	}
}
