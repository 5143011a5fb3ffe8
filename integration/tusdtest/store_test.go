package tusdtest_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/integration/child"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
)

func TestMain(m *testing.M) {
	child.Main(tusdtest.Roles()...)
	goleak.VerifyTestMain(m)
}

// put creates an upload of data at endpoint without the last missing bytes, and
// returns its URL.
func put(t *testing.T, endpoint string, data []byte, missing int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, bytes.NewReader(data[:len(data)-missing]))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", strconv.Itoa(len(data)))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
	return resp.Header.Get("Location")
}

func TestStore_LeftoversAreIncompleteUploads(t *testing.T) {
	server := tusdtest.Start(t, nil)
	done := put(t, server.Endpoint(), []byte("hello"), 0)
	hash, err := server.SHA256(done)
	if err != nil || hash != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("hash is %s, %v", hash, err)
	}
	if left, err := server.Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("leftovers are %v, %v", left, err)
	}

	half := put(t, server.Endpoint(), []byte("hello"), 2)
	if size, err := server.Size(half); err != nil || size != 3 {
		t.Errorf("size is %d, %v", size, err)
	}
	if left, err := server.Leftovers(); err != nil || len(left) != 2 {
		t.Errorf("leftovers of an unfinished upload are %v, %v", left, err)
	}
	if err := os.Remove(server.Path(half) + ".info"); err != nil {
		t.Fatal(err)
	}
	if left, err := server.Leftovers(); err != nil || len(left) != 1 {
		t.Errorf("leftovers of data without .info are %v, %v", left, err)
	}
}

func TestJournal_CountsReceivedBytes(t *testing.T) {
	server := tusdtest.Start(t, nil)
	put(t, server.Endpoint(), []byte("hello"), 2)
	posts := server.Of(http.MethodPost)
	if len(posts) != 1 || posts[0].Received != 3 || posts[0].ContentLength != 3 || server.Received() != 3 ||
		posts[0].Offset() != -1 || posts[0].Header.Get("Upload-Length") != "5" {
		t.Errorf("journal has %+v", posts)
	}
}

func TestProcess_RestartKeepsAddressAndUploads(t *testing.T) {
	server := tusdtest.StartProcess(t, tusdtest.ProcessOptions{})
	before := put(t, server.Endpoint(), []byte("hello"), 0)
	addr := server.Addr()
	server.Kill()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a killed server accepts connections")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	after := put(t, server.Endpoint(), []byte("hello world"), 0)
	if server.Addr() != addr {
		t.Errorf("address was %s, is %s", addr, server.Addr())
	}
	if uploads, err := server.Uploads(); err != nil || len(uploads) != 2 || before == after {
		t.Errorf("uploads are %v, %v", uploads, err)
	}
	server.Kill()
	if got := server.Methods(); !slices.Equal(got, []string{"POST", "POST"}) {
		t.Errorf("requests were %v", got)
	}
}
