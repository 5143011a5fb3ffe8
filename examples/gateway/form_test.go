package main

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// A form that is cut at any byte is deleted, even if only its last dash is missing.
func TestForm_CutLeavesNothing(t *testing.T) {
	data := noise(300)
	form := newForm(t, "a", data, "title", "a title")
	end := bytes.LastIndex(form.content, []byte("--")) + len("--")
	s := newSite(t, setup{options: options{chunkSize: 100, maxActive: len(form.content)}})
	for n := range end {
		got, err := s.post("/uploads", form.contentType, bytes.NewReader(form.content[:n]))
		check(t, err)
		if got.code != http.StatusBadRequest {
			t.Errorf("cut after %d of %d bytes, the form got %+v", n, end, got)
		}
	}
	s.gateway.shutdown(testContext(t))
	s.wantNothing()
	if len(s.tus.Uploads()) < 50 { // the forms with more than one chunk
		t.Errorf("only %d forms reached the tus server", len(s.tus.Uploads()))
	}
}

func TestForm_DisconnectLeavesNothing(t *testing.T) {
	errDisconnected := errors.New("the window was closed")
	for name, sent := range map[string]int{"at once": 0, "in the first chunk": 500, "half-way": 50_000} {
		t.Run(name, func(t *testing.T) {
			hooks, acknowledged := reached(int64(sent) - 2000)
			s := newSite(t, setup{client: tus.Options{Hooks: hooks}})
			f := s.stream("/uploads/" + id)
			_, err := f.Write(noise(sent))
			check(t, err)
			if sent > 2000 {
				<-acknowledged
			}
			f.pipe.CloseWithError(errDisconnected)
			if got := <-f.reply; !strings.Contains(got.status.Error, errDisconnected.Error()) {
				t.Fatalf("the request ended with %+v", got)
			}
			st := s.until(id, http.StatusOK)
			if st.State != failed || st.URL != "" {
				t.Errorf("status is %+v", st)
			}
			s.wantNothing()
			if (len(s.tus.Uploads()) > 0) != (sent > 0) {
				t.Errorf("there were %d uploads", len(s.tus.Uploads()))
			}
		})
	}
}

func TestForm_InvalidIsRefused(t *testing.T) {
	data := noise(100)
	file := func(w *multipart.Writer) { addFile(t, w, "a", data) }
	field := func(name, value string) func(*multipart.Writer) {
		return func(w *multipart.Writer) { check(t, w.WriteField(name, value)) }
	}
	header := func(n int) func(*multipart.Writer) {
		return func(w *multipart.Writer) {
			_, err := w.CreatePart(textproto.MIMEHeader{"X-Filler": {strings.Repeat("x", n)}})
			check(t, err)
		}
	}
	many := func(n int) func(*multipart.Writer) {
		return func(w *multipart.Writer) {
			for range n {
				check(t, w.WriteField("a", strings.Repeat("x", 1000)))
			}
		}
	}
	for name, c := range map[string]struct {
		fill []func(*multipart.Writer)
		code int
	}{
		"no file":                    {[]func(*multipart.Writer){field("title", "x")}, http.StatusBadRequest},
		"two files":                  {[]func(*multipart.Writer){file, file}, http.StatusBadRequest},
		"no file chosen":             {[]func(*multipart.Writer){func(w *multipart.Writer) { addFile(t, w, "", nil) }}, http.StatusBadRequest},
		"field too long":             {[]func(*multipart.Writer){field("title", strings.Repeat("x", maxField+1)), file}, http.StatusRequestHeaderFieldsTooLarge},
		"header too long":            {[]func(*multipart.Writer){header(100 << 10), file}, http.StatusRequestHeaderFieldsTooLarge},
		"name of the file too long":  {[]func(*multipart.Writer){func(w *multipart.Writer) { addFile(t, w, strings.Repeat("x", maxField+1), data) }}, http.StatusRequestHeaderFieldsTooLarge},
		"too many fields":            {[]func(*multipart.Writer){many(100), file}, http.StatusRequestHeaderFieldsTooLarge},
		"too much after the file":    {[]func(*multipart.Writer){file, many(100)}, http.StatusRequestHeaderFieldsTooLarge},
		"name that cannot be stored": {[]func(*multipart.Writer){field("a title", "x"), file}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, setup{})
			form := writeForm(t, func(w *multipart.Writer) {
				for _, fill := range c.fill {
					fill(w)
				}
			})
			if got := s.send("/uploads", form); got.code != c.code || got.status.Error == "" {
				t.Errorf("response is %+v, want %d", got, c.code)
			}
			s.gateway.shutdown(testContext(t))
			s.wantNothing()
		})
	}
	t.Run("not a form", func(t *testing.T) {
		s := newSite(t, setup{})
		if got := s.send("/uploads", parts{"application/octet-stream", data}); got.code != http.StatusUnsupportedMediaType {
			t.Errorf("response is %+v", got)
		}
	})
}

func TestForm_FieldOfMaxSizeIsStored(t *testing.T) {
	s := newSite(t, setup{})
	title := strings.Repeat("x", maxField)
	got := s.send("/uploads", newForm(t, "a", noise(10), "title", title))
	if meta := s.metadata(s.get(got.location + "?wait=true").status.URL); meta["title"] != title {
		t.Errorf("the title has %d bytes", len(meta["title"]))
	}
}

func TestMaxBytes_LargerFormIsRefused(t *testing.T) {
	form := newForm(t, "a", noise(5000))
	size := int64(len(form.content))
	s := newSite(t, setup{options: options{maxBytes: size}})
	if got := s.send("/uploads", form); got.code != http.StatusAccepted {
		t.Errorf("a form of maxBytes got %+v", got)
	}
	s = newSite(t, setup{options: options{maxBytes: size - 1}})
	if got := s.send("/uploads", form); got.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a larger form with Content-Length got %+v", got)
	}
	f := s.stream("/uploads/" + id)
	_, err := f.Write(noise(5000))
	check(t, err)
	wantCodeOrLost(t, f.tryFinish(), http.StatusRequestEntityTooLarge)
	if st := s.until(id, http.StatusOK); st.Error != errFormTooLarge.text {
		t.Errorf("status is %+v", st)
	}
	s.gateway.shutdown(testContext(t))
	s.wantNothing()
}

func TestForm_SilentBrowserIsCut(t *testing.T) {
	s := newSite(t, setup{options: options{idleTimeout: 20 * time.Millisecond}})
	f := s.stream("/uploads/" + id)
	_, err := f.Write(noise(5000))
	check(t, err)
	wantCodeOrLost(t, <-f.reply, http.StatusRequestTimeout)
	if st := s.until(id, http.StatusOK); st.State != failed || !strings.Contains(st.Error, "too slowly") {
		t.Errorf("status is %+v", st)
	}
	s.wantNothing()
}

// The end of a form that is interrupted at the end of its file may be missing.
func TestForm_InterruptedIsNotComplete(t *testing.T) {
	form := newForm(t, "a", noise(100))
	req := httptest.NewRequest(http.MethodPost, "/uploads", bytes.NewReader(form.content))
	req.Header.Set("Content-Type", form.contentType)
	b := newBody(httptest.NewRecorder(), req, options{}.withDefaults())
	f, err := openForm(b, req)
	check(t, err)
	b.interrupt()
	if data, err := io.ReadAll(f); len(data) != 100 || !errors.Is(err, errClosing) || f.arrived() {
		t.Errorf("read %d bytes and %v, arrived: %t", len(data), err, f.arrived())
	}
}

func TestForm_ReadAfterEndReturnsSameError(t *testing.T) {
	form := newForm(t, "a", noise(100))
	for name, content := range map[string][]byte{"whole": form.content, "cut": form.content[:len(form.content)-10]} {
		req := httptest.NewRequest(http.MethodPost, "/uploads", bytes.NewReader(content))
		req.Header.Set("Content-Type", form.contentType)
		f, err := openForm(newBody(httptest.NewRecorder(), req, options{}.withDefaults()), req)
		check(t, err)
		_, first := io.ReadAll(f)
		if _, second := io.ReadAll(f); !errors.Is(second, first) || f.arrived() != (name == "whole") {
			t.Errorf("%s: first %v, then %v, arrived: %t", name, first, second, f.arrived())
		}
	}
}
