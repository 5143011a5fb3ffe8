package tus_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// A server may put an unescaped file name into Location. The URL is stored and requested
// in escaped form.
func TestLocation_UnescapedQueryIsStoredAndUsed(t *testing.T) {
	for query, want := range map[string]string{
		"name=caf\xe9":               "name=caf%E9",
		"name=café":                  "name=caf%C3%A9",
		"name=my file":               "name=my%20file",
		`name="<a>"`:                 "name=%22%3Ca%3E%22",
		"a=%2f%2F%E9&b=c+d&e=%zz":    "a=%2f%2F%E9&b=c+d&e=%zz",
		"sig=a/b?c:@!$&'()*,;=[]~|^": "sig=a/b?c:@!$&'()*,;=[]~|^",
	} {
		store := &storage.Memory{}
		stored, requested := "", ""
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Tus-Resumable", "1.0.0")
			switch r.Method {
			case "POST":
				w.Header().Set("Location", "/files/1?"+query)
				w.WriteHeader(201)
			case "PATCH":
				for rec := range store.All(r.Context()) {
					stored = rec.UploadURL
				}
				requested = r.URL.RawQuery
				w.Header().Set("Upload-Offset", "5")
				w.WriteHeader(204)
			}
		}))
		client := newClient(t, srv.URL+"/files/", &tus.Options{Store: store, RequireStore: true})
		if _, err := client.Upload(testContext(t), tus.Bytes([]byte("hello")), whole()); err != nil {
			t.Errorf("query %q: %v", query, err)
		}
		if requested != want || stored != srv.URL+"/files/1?"+want {
			t.Errorf("query %q: requested %q, stored %q, want %q", query, requested, stored, want)
		}
		srv.Close()
	}
}
