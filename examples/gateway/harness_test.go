package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id = "0123456789abcdef"

// site is a gateway on a loopback port with its tus server.
type site struct {
	t       testing.TB
	tus     *tustest.Server
	client  *tus.Client
	gateway *gateway
	url     string
	http    *http.Client
}

// setup configures a site.
type setup struct {
	options options
	server  *tustest.Options
	client  tus.Options
}

// newSite starts a site. It is shut down at the end of the test.
func newSite(t testing.TB, s setup) *site {
	t.Helper()
	if s.options.chunkSize == 0 {
		s.options.chunkSize = 1000
	}
	if s.options.maxPerClient == 0 { // all forms have one client address
		s.options.maxPerClient = max(16, s.options.maxActive)
	}
	server := tustest.NewServer(t, s.server)
	client, err := tus.NewClient(server.Endpoint(), &s.client)
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(client, s.options)
	mux := http.NewServeMux()
	g.register(mux)
	front := httptest.NewServer(mux)
	transport := &http.Transport{}
	t.Cleanup(func() {
		g.shutdown(testContext(t))
		transport.CloseIdleConnections()
		front.Close()
		client.CloseIdleConnections()
	})
	return &site{t, server, client, g, front.URL, &http.Client{Transport: transport}}
}

// testContext returns a context that ends a hanging test after a minute. Cleanup functions
// can use it.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// reply is a response of the gateway.
type reply struct {
	code     int
	location string
	status   status // of a refusal it has only Error
}

// do sends a request and reads the response.
func (s *site) do(req *http.Request) (reply, error) {
	resp, err := s.http.Do(req.WithContext(testContext(s.t)))
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	got := reply{code: resp.StatusCode, location: resp.Header.Get("Location")}
	if err := json.NewDecoder(resp.Body).Decode(&got.status); err != nil {
		return got, fmt.Errorf("%s: %w", resp.Status, err)
	}
	return got, nil
}

// post sends a form. It returns an error if the connection breaks.
func (s *site) post(path, contentType string, body io.Reader) (reply, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	return s.do(req)
}

// send posts a form. It fails if the connection breaks.
func (s *site) send(path string, f parts) reply {
	s.t.Helper()
	got, err := s.post(path, f.contentType, bytes.NewReader(f.content))
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// get requests the status at a path.
func (s *site) get(path string) reply {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := s.do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// until waits for a status code and returns the status: the gateway may not have processed
// the form yet.
func (s *site) until(id string, code int) status {
	s.t.Helper()
	ctx := testContext(s.t)
	retry := time.NewTicker(time.Millisecond)
	defer retry.Stop()
	for {
		if got := s.get("/uploads/" + id); got.code == code {
			return got.status
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			s.t.Fatalf("the upload never had status %d", code)
		}
	}
}

// wantStored fails unless the tus server has exactly data, as a complete upload.
func (s *site) wantStored(url string, data []byte) {
	s.t.Helper()
	u, found := s.tus.Upload(url)
	if !found || !u.Complete() || u.Terminated || !bytes.Equal(u.Data, data) {
		s.t.Fatalf("the tus server has %d bytes at %q, complete: %t; want %d", len(u.Data), url, u.Complete(), len(data))
	}
}

// metadata returns the metadata of an upload.
func (s *site) metadata(url string) tus.Metadata {
	s.t.Helper()
	info, err := s.client.Info(testContext(s.t), url)
	check(s.t, err)
	return info.Metadata
}

// wantNothing fails if the tus server has an upload that was not deleted, or was complete.
func (s *site) wantNothing() {
	s.t.Helper()
	for _, u := range s.tus.Uploads() {
		if !u.Terminated || u.Complete() {
			s.t.Errorf("the tus server has %d of %d bytes, terminated: %t", len(u.Data), u.Length, u.Terminated)
		}
	}
}

// parts is an encoded form.
type parts struct {
	contentType string
	content     []byte
}

// newForm encodes a form with one file. fields alternates names and values of the fields
// before it.
func newForm(t testing.TB, filename string, data []byte, fields ...string) parts {
	return writeForm(t, func(w *multipart.Writer) {
		for i := 0; i < len(fields); i += 2 {
			check(t, w.WriteField(fields[i], fields[i+1]))
		}
		addFile(t, w, filename, data)
	})
}

func writeForm(t testing.TB, fill func(*multipart.Writer)) parts {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	fill(w)
	check(t, w.Close())
	return parts{w.FormDataContentType(), b.Bytes()}
}

func addFile(t testing.TB, w *multipart.Writer, filename string, data []byte) {
	part, err := w.CreateFormFile("file", filename)
	check(t, err)
	_, err = part.Write(data)
	check(t, err)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise returns n bytes without repetitions.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}
