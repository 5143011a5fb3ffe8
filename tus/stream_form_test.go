package tus_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestForwardForm_StoresCompleteFilesOnly(t *testing.T) {
	data := randomBytes(9 << 20)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, name := range []string{"first", "second"} {
		file, err := form.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(data)
	}
	form.Close()
	for status, size := range map[int]int{200: body.Len(), 502: body.Len() - 2<<20} {
		srv := tustest.NewServer(t, nil)
		client := newClient(t, srv.Endpoint(), nil)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", io.LimitReader(bytes.NewReader(body.Bytes()), int64(size)))
		r.Header.Set("Content-Type", form.FormDataContentType())
		forwardForm(client, w, r)
		uploads := srv.Uploads()
		if w.Code != status || len(uploads) != 2 || !bytes.Equal(uploads[0].Data, data) {
			t.Fatalf("status is %d, %d uploads: %s, first has %d bytes", w.Code, len(uploads), w.Body, len(uploads[0].Data))
		}
		if second := uploads[1]; second.Terminated != (status == 502) || status == 200 && !bytes.Equal(second.Data, data) {
			t.Errorf("with status %d, the second upload has %d bytes, deleted: %v", status, len(second.Data), second.Terminated)
		}
	}
	srv := tustest.NewServer(t, nil)
	w := httptest.NewRecorder()
	forwardForm(newClient(t, srv.Endpoint(), nil), w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("status is %d", w.Code)
	}
}

func TestSendOpenFile_ResumesAndReportsGoneUpload(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), randomBytes(5000)
	client := newClient(t, srv.Endpoint(), nil)
	first, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 1000, StopAt: 3000})
	wantError(t, err, tus.ErrPaused)
	f, err := os.Open(tempFile(t, data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := sendOpenFile(testContext(t), first.URL, "token", f); err != nil {
		t.Fatal(err)
	}
	wantStored(t, srv.Handler, first.URL, data)
	last := srv.Requests()[len(srv.Requests())-1]
	if last.Header.Get("Upload-Offset") != "3000" || last.Header.Get("Authorization") != "Bearer token" {
		t.Errorf("last request is %+v", last)
	}
	srv.Forget(first.URL)
	wantError(t, sendOpenFile(testContext(t), first.URL, "token", f), tus.ErrUploadGone)
}
