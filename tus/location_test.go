package tus_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
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

func TestLocation_IsEscapedNotRefused(t *testing.T) {
	for id, want := range map[string]string{
		"50%off": "50%25off", "a b": "a%20b", "ü%": "%C3%BC%25", "%zz%41": "%25zz%41", "a%2Fb%": "a%2Fb%25", "\xff": "%FF", "x?a=50%off": "x?a=50%off", "tab\tin": "tab%09in",
	} {
		for _, prefix := range []string{"/files/", "", "http://host/files/"} {
			var requested string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Tus-Resumable", "1.0.0")
				if r.Method == http.MethodPost {
					w.Header()["Location"] = []string{strings.Replace(prefix, "//host", "//"+r.Host, 1) + id}
					w.WriteHeader(201)
					return
				}
				requested = r.RequestURI
				w.Header().Set("Upload-Offset", strconv.FormatInt(r.ContentLength, 10))
				w.WriteHeader(204)
			}))
			res, err := newClient(t, srv.URL+"/files/", nil).Upload(testContext(t), tus.Bytes(randomBytes(5)), whole())
			if err != nil || requested != "/files/"+want || res.URL != srv.URL+"/files/"+want {
				t.Errorf("Location %q: requested %s, the URL is %s: %v", prefix+id, requested, res.URL, err)
			}
			srv.Close()
		}
	}
}

func TestLocation_AbsoluteOrRelative(t *testing.T) {
	data := randomBytes(1000)
	for _, location := range []string{
		"/files/00000001", "00000001", "./00000001", "../files/00000001", "//HOST/files/00000001", "http://HOST/files/00000001", "?x=1/../00000001",
	} {
		t.Run(location, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			host := srv.HTTP.Listener.Addr().String()
			if location[0] == '?' {
				srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "00000001"+location)})
			} else {
				srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", string(bytes.ReplaceAll([]byte(location), []byte("HOST"), []byte(host))))})
			}
			res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{ChunkSize: 100})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, "00000001", data)
			if want := srv.Endpoint() + "00000001"; res.URL != want && location[0] != '?' {
				t.Errorf("URL is %s, want %s", res.URL, want)
			}
		})
	}
}
