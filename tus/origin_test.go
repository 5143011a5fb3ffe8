package tus_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// originForms are hosts and other forms of the same host.
var originForms = map[string][]string{
	"bücher.example":     {"xn--bcher-kva.example", "BÜCHER.example", "bu\u0308cher.example", "XN--BCHER-KVA.example"},
	"UPLOADS.example":    {"uploads.example", "uploads.example:80", "uploads.example:", "ｕｐｌｏａｄｓ.example"},
	"[0:0:0:0:0:0:0:1]":  {"[::1]", "[0::1]", "[::0001]:80"},
	"[fe80::1%25eth0]":   {"[fe80::1]", "[fe80::1%25eth0]", "[FE80:0::1]"},
	"[::ffff:192.0.2.1]": {"[::ffff:c000:201]"},
	"127.0.0.1":          {"127.0.0.1", "１２７.0.0.1"},
	"faß.example":        {"xn--fa-hia.example"},
	"kelvin.example":     {"\u212Aelvin.example"},
}

func TestOrigin_FormsOfOneHostGetCredentials(t *testing.T) {
	data := randomBytes(3000)
	for endpoint, forms := range originForms {
		for _, form := range forms {
			t.Run(endpoint+" "+form, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				at := "http://" + form + "/files/00000001"
				srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", at)})
				opts := secretOptions()
				opts.HTTPClient = routed(t, srv)
				client := newClient(t, "http://"+endpoint+"/files/", opts)
				res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, srv.Handler, "00000001", data)
				if _, err := client.Info(testContext(t), res.URL); err != nil {
					t.Fatal(err)
				}
				for _, r := range srv.Requests() {
					wantSecrets(t, r)
				}
			})
		}
	}
}

func TestOrigin_PartsOfIDNHostGetCredentials(t *testing.T) {
	srv := tustest.NewServer(t, &tustest.Options{AbsoluteLocation: true})
	opts := secretOptions()
	opts.HTTPClient = routed(t, srv)
	opts.Store = &storage.Memory{}
	client := newClient(t, "http://BÜCHER.example/files/", opts)
	data := randomBytes(10_000)
	up := &tus.UploadOptions{Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}, ChunkSize: 1000}
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 4, Action: tustest.Respond(400, "")})
	if _, err := client.Upload(testContext(t), tus.Bytes(data), up); err == nil {
		t.Fatal("no error")
	}
	res, err := client.Upload(testContext(t), tus.Bytes(data), up) // from the store
	if err != nil {
		t.Fatal(err)
	}
	if res.Stats.ResumedFrom == 0 {
		t.Error("stored parts were not resumed")
	}
	wantStored(t, srv.Handler, res.URL, data)
	for _, r := range srv.Requests() {
		wantSecrets(t, r)
	}
}

// otherHosts are different hosts that a comparison other than that of the dialer may take
// for equal.
var otherHosts = map[string]string{
	"files.example":    "fİles.example",
	"strasse.example":  "straße.example",
	"[fe80::1%25eth0]": "[fe80::1%25ETH0]",
	"[fe80::1]":        "[fe80::1%25eth0]",
	"uploads.example":  "uploads.example.",
	"192.0.2.1":        "[::ffff:192.0.2.1]",
	"a.example:80":     "a.example:080",
	"b.example:8080":   "b.example:",
}

func TestOrigin_OtherHostGetsNoCredentials(t *testing.T) {
	data := randomBytes(3000)
	for endpoint, other := range otherHosts {
		at := "http://" + other + "/files/00000001"
		for name, send := range map[string]func(context.Context, *tus.Client) error{
			"Location": func(ctx context.Context, c *tus.Client) error {
				_, err := c.Upload(ctx, tus.Bytes(data), chunked())
				return err
			},
			"Info": func(ctx context.Context, c *tus.Client) error {
				_, err := c.Info(ctx, at)
				return err
			},
			"Resume": func(ctx context.Context, c *tus.Client) error {
				_, err := c.Resume(ctx, at, tus.Bytes(data), chunked())
				return err
			},
			"Terminate": func(ctx context.Context, c *tus.Client) error { return c.Terminate(ctx, at) },
		} {
			t.Run(other+" "+name, func(t *testing.T) {
				srv := tustest.NewServer(t, nil)
				uploadOn(t, srv, data)
				known := len(srv.Requests())
				srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", at)})
				opts := secretOptions()
				opts.HTTPClient = routed(t, srv)
				if err := send(testContext(t), newClient(t, "http://"+endpoint+"/files/", opts)); err != nil {
					t.Fatal(err)
				}
				for _, r := range srv.Requests()[known:] {
					if r.Method != "POST" {
						wantNoSecrets(t, r)
					}
				}
			})
		}
	}
}

func TestOrigin_StoredURLOfOtherHostGetsNoCredentials(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	data := randomBytes(3000)
	opts := secretOptions()
	opts.HTTPClient, opts.Store = routed(t, srv), &storage.Memory{}
	client := newClient(t, "http://files.example/files/", opts)
	_, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{StopAt: 1000, CreationLimit: -1})
	wantError(t, err, tus.ErrPaused)
	for rec := range opts.Store.All(testContext(t)) {
		rec.UploadURL, rec.Seal = strings.Replace(rec.UploadURL, "files.example", "fİles.example", 1), ""
		if _, err := opts.Store.Put(testContext(t), rec); err != nil {
			t.Fatal(err)
		}
	}
	known := len(srv.Requests())
	res, err := client.Upload(testContext(t), tus.Bytes(data), chunked())
	if err != nil || res.Stats.ResumedFrom != 1000 {
		t.Fatalf("resumed from %d: %v", res.Stats.ResumedFrom, err)
	}
	for _, r := range srv.Requests()[known:] {
		wantNoSecrets(t, r)
	}
}

func TestOrigin_HostWithoutASCIIFormIsRefused(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	opts := secretOptions()
	opts.HTTPClient = routed(t, srv)
	for _, host := range []string{"a／b.example", "bücher_1.example", "\u00AD", "uploads.example：80", "[fe80::1%25é]", "ü%25.example"} {
		at := "http://" + host + "/files/1"
		client := newClient(t, "http://uploads.example/files/", opts)
		_, err := client.Info(testContext(t), at)
		wantError(t, err, tus.ErrInvalidInput)
		_, err = client.Resume(testContext(t), at, tus.Bytes(nil), nil)
		wantError(t, err, tus.ErrInvalidInput)
		_, err = tus.NewClient(at, nil)
		wantError(t, err, tus.ErrInvalidInput)
		_, err = tus.NewClient("http://uploads.example/", &tus.Options{TrustedOrigins: []string{at}})
		wantError(t, err, tus.ErrInvalidInput)
		wantMethods(t, srv.Handler)
	}
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Location", "http://a／b.example/files/1")})
	_, err := newClient(t, "http://uploads.example/files/", opts).Upload(testContext(t), tus.Bytes([]byte("x")), whole())
	wantError(t, err, tus.ErrProtocol)
	wantMethods(t, srv.Handler, "POST")
}

// The transport of a caller may map hosts in its own way, so it gets only ASCII.
func TestOrigin_TransportGetsASCIIHost(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	inner := routed(t, srv).Transport
	opts := &tus.Options{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "xn--bcher-kva.example:8080" || r.Host != r.URL.Host {
			t.Errorf("%s %q, Host %q", r.Method, r.URL.Host, r.Host)
		}
		return inner.RoundTrip(r)
	})}}
	client := newClient(t, "http://Bücher.example:8080/files/", opts)
	if got := client.Endpoint(); got != "http://xn--bcher-kva.example:8080/files/" {
		t.Errorf("Endpoint is %q", got)
	}
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole()); err != nil {
		t.Fatal(err)
	}
}
