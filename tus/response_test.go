package tus_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestResponse_CompressedBodyStaysCompressed(t *testing.T) {
	// A small response must not become a large one in memory.
	var bomb bytes.Buffer
	zipped := gzip.NewWriter(&bomb)
	zipped.Write(make([]byte, 10<<20))
	zipped.Close()
	for name, client := range map[string]*http.Client{"default transport": nil, "decompressing transport": {Transport: &http.Transport{DisableKeepAlives: true}}} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Respond(403, bomb.String(), "Content-Encoding", "gzip")})
			var body []byte
			_, err := newClient(t, srv.Endpoint(), &tus.Options{HTTPClient: client, Hooks: tus.Hooks{
				AfterResponse: func(_ *http.Request, r *tus.Response) { body = r.Body },
			}}).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
			wantError(t, err, tus.ErrUnauthorized)
			if !bytes.Equal(body, bomb.Bytes()) {
				t.Errorf("body has %d bytes, %d were sent", len(body), bomb.Len())
			}
		})
	}
}

func TestResponse_EndlessBodyIsCut(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	ended := make(chan int, 1)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Upload-Offset", fmt.Sprint(n))
		w.WriteHeader(200)
		written := 0
		for {
			n, err := w.Write(make([]byte, 32<<10))
			if written += n; err != nil {
				ended <- written
				return
			}
		}
	}})
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(res.LastPatch.Body); n != 64<<10 {
		t.Errorf("body has %d bytes", n)
	}
	<-ended // the connection was closed, not drained
}

func TestResponse_EndlessHeaderIsCut(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 201 Created\r\n")
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(conn, "X-%d: %01000d\r\n", i, i)
		}
	}})
	_, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: tus.RetryPolicy{MaxRetries: -1}}).Upload(testContext(t), tus.Bytes(randomBytes(3000)), whole())
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("error is %v", err)
	}
}

func TestResponse_InterimOffsetIsIgnored(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		w.Header().Set("Upload-Offset", "1")
		for _, status := range []int{104, 103, 104} { // 104: upload resumption supported
			w.WriteHeader(status)
		}
		w.Header().Del("Upload-Offset")
		h.Serve(w, r)
	}})
	data := randomBytes(3000)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.Retries != 0 {
		t.Fatalf("after %d retries: %v", res.Stats.Retries, err)
	}
	wantStored(t, srv.Handler, res.URL, data)
}

func TestHeadAndDelete_201IsRetried(t *testing.T) {
	another := tustest.Respond(201, "", "Location", "/files/another", "Upload-Offset", "0", "Upload-Length", "10000")
	srv, res := uploadThrough(t,
		tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutBefore()},
		tustest.Fault{Method: "HEAD", Action: another})
	if res.Stats.Retries != 2 || res.Stats.Resent > 1000 {
		t.Errorf("stats are %+v", res.Stats)
	}
	srv.Inject(tustest.Fault{Method: "DELETE", Action: another})
	if err := newClient(t, srv.Endpoint(), nil).Terminate(testContext(t), res.URL); err != nil {
		t.Fatal(err)
	}
	if up, ok := srv.Upload(res.URL); ok && !up.Terminated {
		t.Error("the upload still exists")
	}
}

func TestResponse_InvalidEndsUpload(t *testing.T) {
	for name, offset := range map[string]string{
		"negative": "-5", "garbage": "banana", "beyond what was sent": "4001", "back": "2999", "fraction": "3500.5",
		"overflow": "9223372036854775808", "huge": strings.Repeat("9", 5000), "two signs": "++3500", "sign alone": "+", "blank after the sign": "+ 3500", "blank inside": "3 500", "empty": " ", "two in one": "3500, 3500", "hex": "0xdac",
	} {
		t.Run("PATCH "+name, func(t *testing.T) {
			_, res, err := failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "PATCH", Skip: 3, Times: -1, Action: tustest.SetHeader("Upload-Offset", offset)})
			if res.URL == "" || res.Offset != 3000 {
				t.Errorf("result is %+v", res)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("error has %d characters", len(err.Error()))
			}
		})
		t.Run("HEAD "+name, func(t *testing.T) {
			if name == "beyond what was sent" || name == "back" {
				t.Skip("HEAD may return any offset up to the length")
			}
			failThrough(t, tus.ErrProtocol,
				tustest.Fault{Method: "PATCH", Skip: 3, Action: tustest.CutBefore()},
				tustest.Fault{Method: "HEAD", Times: -1, Action: tustest.SetHeader("Upload-Offset", offset)})
		})
	}
	t.Run("PATCH duplicated", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "PATCH", Action: tustest.SetHeader("Upload-Offset", "1000", "Upload-Offset", "999")})
	})
	t.Run("HEAD absent", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol,
			tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
			tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Offset", "")})
	})
	t.Run("HEAD beyond the length", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol,
			tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
			tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Offset", "10001")})
	})
	t.Run("HEAD another length", func(t *testing.T) {
		failThrough(t, tus.ErrSourceMismatch,
			tustest.Fault{Method: "PATCH", Action: tustest.CutBefore()},
			tustest.Fault{Method: "HEAD", Action: tustest.SetHeader("Upload-Length", "9999")})
	})
	t.Run("creation with upload beyond what was sent", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Upload-Offset", "101")})
		_, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(randomBytes(100)), nil)
		wantError(t, err, tus.ErrProtocol)
	})
	t.Run("POST without Location", func(t *testing.T) {
		failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", "")})
	})
	for _, location := range []string{"ftp://example.org/x", "http://", "javascript:alert(1)", "http://[::1"} {
		t.Run("POST with Location "+location, func(t *testing.T) {
			failThrough(t, tus.ErrProtocol, tustest.Fault{Method: "POST", Times: -1, Action: tustest.SetHeader("Location", location)})
		})
	}
}

func TestResponse_EarlyAcknowledgmentIsIgnored(t *testing.T) {
	// A duplicate or reordered response of a proxy comes before the body is sent, and
	// acknowledges all of it.
	data := randomBytes(16 << 20)
	for method, opts := range map[string]*tus.UploadOptions{
		"PATCH": whole(),
		"POST":  {CreationLimit: int64(len(data))},
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: method, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
			w.Header().Set("Upload-Offset", strconv.Itoa(len(data)))
			status := http.StatusNoContent
			if method == "POST" {
				bare := r.Clone(r.Context())
				bare.Body = http.NoBody
				bare.Header.Del("Content-Type")
				created := httptest.NewRecorder()
				h.Serve(created, bare)
				w.Header().Set("Location", created.Header().Get("Location"))
				status = http.StatusCreated
			}
			w.WriteHeader(status)
		}})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		if err == nil {
			wantStored(t, srv.Handler, res.URL, data)
		}
	}
}
