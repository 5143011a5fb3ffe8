package faults_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	sha1OfHello = "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="
	md5OfHello  = "md5 XUFAKrxLKna5cZ2REBfFkg=="
)

func TestFlipBit_IsDetectedByChecksumOnly(t *testing.T) {
	for name, test := range map[string]struct {
		at       int64
		checksum string
		status   int
		stored   string
	}{
		"first byte":      {0, "", 204, "iello"},
		"last byte":       {4, "", 204, "helln"},
		"beyond the body": {5, "", 204, "hello"},
		"negative offset": {-1, "", 204, "hello"},
		"with a checksum": {2, sha1OfHello, 460, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.FlipBit(test.at)})
			fields := []string{"Upload-Offset", "0"}
			if test.checksum != "" {
				fields = append(fields, "Upload-Checksum", test.checksum)
			}
			if status, _, _ := do(t, "PATCH", srv.HTTP.URL+upload, "hello", fields...); status != test.status {
				t.Errorf("status is %d, want %d", status, test.status)
			}
			wantContent(t, srv, upload, test.stored)
		})
	}
}

func TestRefuseAlgorithm_HeaderAndTrailer(t *testing.T) {
	for name, test := range map[string]struct {
		header, trailer string // Upload-Checksum
		status          int
	}{
		"refused":         {sha1OfHello, "", 400},
		"another":         {md5OfHello, "", 204},
		"none":            {"", "", 204},
		"in a trailer":    {"", sha1OfHello, 400},
		"another trailer": {"", md5OfHello, 204},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.RefuseAlgorithm("sha1", "crc32")})
			req, err := http.NewRequest(http.MethodPatch, srv.HTTP.URL+upload, strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/offset+octet-stream")
			req.Header.Set("Upload-Offset", "0")
			if test.header != "" {
				req.Header.Set("Upload-Checksum", test.header)
			}
			if test.trailer != "" {
				req.Trailer, req.ContentLength = http.Header{"Upload-Checksum": {test.trailer}}, -1
			}
			if status, _, _ := roundTrip(t, req); status != test.status {
				t.Errorf("status is %d, want %d", status, test.status)
			}
			stored := "hello"
			if test.status == 400 {
				stored = ""
			}
			wantContent(t, srv, upload, stored)
		})
	}
}

func TestReadSlowly_StoresWholeBody(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: faults.ReadSlowly(2, time.Microsecond)},
		tustest.Fault{Method: "PATCH", Action: faults.ReadSlowly(0, time.Microsecond)},
	)
	for _, offset := range []string{"0", "5"} {
		if status, _, _ := do(t, "PATCH", srv.HTTP.URL+upload, "hello", "Upload-Offset", offset); status != 204 {
			t.Errorf("status is %d", status)
		}
	}
	wantContent(t, srv, upload, "hellohello")
}

func TestRewindAndVanish_LoseBytes(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	url := srv.HTTP.URL + upload
	do(t, "PATCH", url, "hello", "Upload-Offset", "0")
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: faults.Rewind(3)},
		tustest.Fault{Method: "HEAD", Skip: 1, Action: faults.Vanish()},
	)
	if status, _, _ := do(t, "PATCH", url, "world", "Upload-Offset", "5"); status != 409 {
		t.Errorf("PATCH at the old offset: status %d", status)
	}
	for _, want := range []int{200, 410, 410} {
		status, header, _ := do(t, "HEAD", url, "")
		if status != want || status == 200 && header.Get("Upload-Offset") != "3" {
			t.Errorf("HEAD: status %d, offset %s", status, header.Get("Upload-Offset"))
		}
	}
}

func TestListener_ResetsConnections(t *testing.T) {
	handler := tustest.NewHandler(nil)
	server := httptest.NewUnstartedServer(handler)
	listener := &faults.Listener{Listener: server.Listener}
	server.Listener = listener
	server.Start()
	defer server.Close()
	options := func() bool {
		status, _, _ := do(t, http.MethodOptions, server.URL+"/files/", "")
		return status == 204
	}
	if !options() {
		t.Fatal("server does not respond")
	}
	listener.Reset(2)
	if got := []bool{options(), options(), options()}; got[0] || got[1] || !got[2] {
		t.Errorf("requests succeed: %v", got)
	}
	listener.Reset(-1)
	for range 3 {
		if options() {
			t.Error("request succeeds although all connections are reset")
		}
	}
	if n := listener.Resets(); n != 5 {
		t.Errorf("%d connections were reset", n)
	}
	listener.Reset(0)
	if !options() {
		t.Error("server does not recover")
	}
}

func ExampleListener() {
	server := httptest.NewUnstartedServer(tustest.NewHandler(nil))
	listener := &faults.Listener{Listener: server.Listener}
	server.Listener = listener
	server.Start()
	defer server.Close()

	listener.Reset(1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 2 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println("reset")
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Println("ok")
	}
	// Output:
	// reset
	// ok
}

// The checksum detects a corrupt byte, and the client resends the chunk.
func ExampleFlipBit() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	handler.Inject(tustest.Fault{Method: "PATCH", Action: faults.FlipBit(3)})

	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	result, err := client.Upload(context.Background(), tus.Bytes([]byte("hello, world")), &tus.UploadOptions{
		CreationLimit: -1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range handler.Requests() {
		fmt.Println(r.Method, r.Status)
	}
	upload, _ := handler.Upload(result.URL)
	fmt.Printf("%s\n", upload.Data)
	// Output:
	// OPTIONS 204
	// POST 201
	// PATCH 460
	// HEAD 200
	// PATCH 204
	// hello, world
}
