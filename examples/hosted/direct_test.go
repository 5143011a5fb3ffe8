package hosted_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/hosted"
	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
)

func ExampleDirectUpload() {
	m := &exampleTB{}
	defer m.end()
	rules := strict.CloudflareStream()
	rules.Metadata = []string{"maxDurationSeconds"}
	rules.Authorize = func(r *http.Request) error { // the creation needs the token, and nothing else may have it
		if hasToken := r.Header.Get("Authorization") != ""; hasToken != (r.Method == http.MethodPost) {
			return fmt.Errorf("token: %v", hasToken)
		}
		return nil
	}
	srv := strict.NewServer(m, rules)
	stream, err := tus.NewClient(srv.Endpoint()+"?direct_user=true", &tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}})
	if err != nil {
		panic(err)
	}
	backend := httptest.NewServer(hosted.DirectUpload(stream, 600))
	defer backend.Close()

	// The program with the video:
	req, err := http.NewRequest(http.MethodPost, backend.URL, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Upload-Length", "5000")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	s := hosted.HandedOut(resp.Header.Get("Location"), presets.CloudflareDirect())
	result, err := s.UploadFile(context.Background(), exampleFile(m, 5000))
	fmt.Println(resp.Header.Get("Stream-Media-Id"), result.Stats.Requests, err)
	// Output: the-id map[HEAD:1 PATCH:1] <nil>
}

func TestDirectUpload_RefusalsAreReported(t *testing.T) {
	srv := strict.NewServer(t, strict.Rules{NoCreation: true})
	stream, err := tus.NewClient(srv.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for length, want := range map[string]int{"": 400, "-1": 400, "a": 400, "5": 502} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Upload-Length", length)
		hosted.DirectUpload(stream, 600)(w, r)
		if w.Code != want || w.Header().Get("Location") != "" {
			t.Errorf("Upload-Length %q: status %d, header %v", length, w.Code, w.Header())
		}
	}
}
