package tus_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// forwardForm uploads the files of a web form while they arrive. It keeps two chunks of a
// file in memory, and deletes the upload of a file that did not arrive completely.
func forwardForm(client *tus.Client, w http.ResponseWriter, r *http.Request) {
	form, err := r.MultipartReader()
	if err != nil {
		http.Error(w, "not a multipart form", http.StatusUnsupportedMediaType)
		return
	}
	var stored []string
	for part, err := form.NextPart(); err != io.EOF; part, err = form.NextPart() {
		if err != nil {
			http.Error(w, "the form is incomplete", http.StatusBadRequest)
			return
		}
		if part.FileName() == "" {
			continue // a text field
		}
		result, err := client.Upload(r.Context(), tus.Reader(part), &tus.UploadOptions{ChunkSize: 4 << 20, Metadata: tus.Metadata{"filename": part.FileName()}})
		if err != nil {
			_ = client.Terminate(context.WithoutCancel(r.Context()), result.URL) // it may not exist
			http.Error(w, "the file was not stored", http.StatusBadGateway)
			return
		}
		stored = append(stored, result.URL)
	}
	fmt.Fprintln(w, strings.Join(stored, "\n"))
}

// A part of a web form is a stream. The program examples/gateway does this with limits,
// timeouts and progress.
func ExampleReader_webForm() {
	handler := tustest.NewHandler(nil)
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := tus.NewClient(server.URL+"/files/", nil)
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forwardForm(client, w, r) }))
	defer web.Close()

	var body bytes.Buffer // what a browser sends
	form := multipart.NewWriter(&body)
	_ = form.WriteField("title", "My cat")
	file, _ := form.CreateFormFile("file", "cat.jpg")
	_, _ = file.Write(make([]byte, 10_000))
	_ = form.Close()
	resp, err := http.Post(web.URL, form.FormDataContentType(), &body)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	url, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	stored, _ := handler.Upload(strings.TrimSpace(string(url)))
	fmt.Println(len(stored.Data), "bytes, complete:", stored.Complete())
	// Output: 10000 bytes, complete: true
}
