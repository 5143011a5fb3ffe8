package tus_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// invalidHeaders are headers that Options.Header and UploadOptions.Header refuse.
func invalidHeaders() map[string]http.Header {
	return map[string]http.Header{
		"CR LF in a value":      {"X-Key": {"PLANTED\r\nX-Forged: yes"}},
		"LF in a value":         {"Authorization": {"Bearer PLANTED\n"}},
		"CR in a second value":  {"X-Key": {"fine", "PLANTED\r"}},
		"NUL in a value":        {"X-Key": {"PLANTED\x00"}},
		"DEL in a value":        {"X-Key": {"PLANTED\x7f"}},
		"CR LF in the host":     {"Host": {"PLANTED\r\nX-Forged: yes"}},
		"CR LF in a name":       {"X-Key\r\nX-Forged": {"yes"}},
		"colon in a name":       {"X-Key:": {"yes"}},
		"space in a name":       {"X Key": {"yes"}},
		"umlaut in a name":      {"X-Schlüssel": {"yes"}},
		"empty name":            {"": {"yes"}},
		"protocol version":      {"Tus-Resumable": {"0.2.2"}},
		"protocol, lower case":  {"tus-resumable": {"0.2.2"}},
		"type of the body":      {"Content-Type": {"text/plain"}},
		"length of the body":    {"content-length": {"5"}},
		"encoding of the body":  {"Transfer-Encoding": {"chunked"}},
		"trailer after a body":  {"Trailer": {"Upload-Checksum"}},
		"offset":                {"Upload-Offset": {"5"}},
		"length":                {"upload-length": {"5"}},
		"deferred length":       {"Upload-Defer-Length": {"1"}},
		"metadata":              {"Upload-Metadata": {"a YQ=="}},
		"concatenation":         {"Upload-Concat": {"partial"}},
		"checksum":              {"Upload-Checksum": {"sha1 AAAA"}},
		"another method":        {"X-HTTP-Method-Override": {"DELETE"}},
		"header and its shadow": {"Content-type": {"a"}, "Content-Type": {"b"}},
	}
}

func TestOptionsHeader_InvalidSendsNoRequest(t *testing.T) {
	for name, header := range invalidHeaders() {
		t.Run(name, func(t *testing.T) {
			_, err := tus.NewClient("http://127.0.0.1:1/files/", &tus.Options{Header: header})
			wantError(t, err, tus.ErrInvalidInput)
			if strings.Contains(err.Error(), planted) || strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("error is %q", err)
			}
		})
	}
	t.Run("added by a hook", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		client := newClient(t, srv.Endpoint(), &tus.Options{Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
			r.Header["X-Key"] = []string{"PLANTED\r\nX-Forged: yes"}
			return nil
		}}})
		res, err := client.Upload(testContext(t), tus.Bytes(randomBytes(3000)), chunked())
		wantError(t, err, tus.ErrInvalidInput)
		if strings.Contains(err.Error(), planted) || res.Stats.Retries != 0 {
			t.Errorf("after %d retries: %v", res.Stats.Retries, err)
		}
		wantMethods(t, srv.Handler)
	})
}

func TestOptionsHeader_HostIsSent(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	var hosts []string
	srv.Inject(tustest.Fault{Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		hosts = append(hosts, r.Host)
		h.Serve(w, r)
	}})
	if _, err := newClient(t, srv.Endpoint(), &tus.Options{Header: http.Header{"Host": {"virtual.test"}}}).Upload(testContext(t), tus.Bytes(randomBytes(10)), whole()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(hosts, []string{"virtual.test", "virtual.test"}) {
		t.Errorf("hosts were %q", hosts)
	}
}

func TestOptionsHeader_IsCopied(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	header := http.Header{"X-Key": {"one", "two"}}
	client := newClient(t, srv.Endpoint(), &tus.Options{Header: header, Hooks: tus.Hooks{BeforeRequest: func(r *http.Request) error {
		r.Header["X-Key"][0] += "!" // must not accumulate
		return nil
	}}})
	header["X-Key"][0] = "changed"
	header.Set("X-Other", "added")
	if _, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole()); err != nil {
		t.Fatal(err)
	}
	for _, r := range srv.Requests() {
		if got := r.Header.Values("X-Key"); !slices.Equal(got, []string{"one!", "two"}) || r.Header.Get("X-Other") != "" {
			t.Errorf("X-Key is %q", got)
		}
	}
}

func TestNewClientFromEnv(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	send := func(t *testing.T, opts *tus.Options) http.Header {
		t.Helper()
		client, err := tus.NewClientFromEnv(opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.CloseIdleConnections)
		if _, err := client.Upload(testContext(t), tus.Bytes(nil), nil); err != nil {
			t.Fatal(err)
		}
		requests := srv.Requests()
		return requests[len(requests)-1].Header
	}
	t.Setenv("TUS_ENDPOINT", srv.Endpoint())
	t.Setenv("TUS_TOKEN", "")
	t.Setenv("TUS_HEADERS", "")
	if got := send(t, nil); got.Get("Authorization") != "" {
		t.Errorf("Authorization is %q", got.Get("Authorization"))
	}
	t.Setenv("TUS_TOKEN", "the-token")
	t.Setenv("TUS_HEADERS", "\nX-Tenant:  seven \r\n  x-many: 1\nX-Many: 2:3\n\n")
	got := send(t, nil)
	if got.Get("Authorization") != "Bearer the-token" || got.Get("X-Tenant") != "seven" || !slices.Equal(got.Values("X-Many"), []string{"1", "2:3"}) {
		t.Errorf("headers are %v", got)
	}
	got = send(t, &tus.Options{Header: http.Header{"authorization": {"Basic x"}, "X-Tenant": {"eight"}, "X-New": {"n"}}})
	if got.Get("Authorization") != "Basic x" || !slices.Equal(got.Values("X-Tenant"), []string{"eight"}) || got.Get("X-New") != "n" || len(got.Values("X-Many")) != 2 {
		t.Errorf("headers are %v", got)
	}
}

func TestHeaderFromEnv_HasTokenAndFields(t *testing.T) {
	t.Setenv("TUS_ENDPOINT", "")
	t.Setenv("TUS_TOKEN", "")
	t.Setenv("TUS_HEADERS", "")
	if got, err := tus.HeaderFromEnv(); err != nil || len(got) != 0 {
		t.Errorf("header is %v, %v", got, err)
	}
	t.Setenv("TUS_TOKEN", "the-token")
	t.Setenv("TUS_HEADERS", "x-tenant: seven")
	got, err := tus.HeaderFromEnv()
	if err != nil || len(got) != 2 || got.Get("Authorization") != "Bearer the-token" || got.Get("X-Tenant") != "seven" {
		t.Errorf("header is %v, %v", got, err)
	}
	t.Setenv("TUS_HEADERS", planted)
	_, err = tus.HeaderFromEnv()
	wantError(t, err, tus.ErrInvalidInput)
	if strings.Contains(err.Error(), planted) {
		t.Errorf("error is %v", err)
	}
}

func TestNewClientFromEnv_ErrorNamesVariable(t *testing.T) {
	for name, test := range map[string]struct{ endpoint, token, headers, want string }{
		"no endpoint":     {"", "t", "", "TUS_ENDPOINT"},
		"bad endpoint":    {"ftp://example.org/", "", "", "scheme"},
		"header":          {"http://example.org/", "", "Fine: yes\nPLANTED no colon", "TUS_HEADERS"},
		"header name":     {"http://example.org/", "", "n(o)good: PLANTED", "n(o)good"},
		"colon forgotten": {"http://example.org/", "", "Authorization Basic PLANTED:x", "TUS_HEADERS"},
		"protocol header": {"http://example.org/", "", "Tus-Resumable: PLANTED", "Tus-Resumable"},
		"token":           {"http://example.org/", "PLANTED\r\nX: y", "", "Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TUS_ENDPOINT", test.endpoint)
			t.Setenv("TUS_TOKEN", test.token)
			t.Setenv("TUS_HEADERS", test.headers)
			_, err := tus.NewClientFromEnv(nil)
			wantError(t, err, tus.ErrInvalidInput)
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), planted) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestOptionsHeader_OnlyProtocolIsReserved(t *testing.T) {
	for name, reserved := range map[string]bool{
		"Upload-Creator": false, "Upload-Token": false, "Tus-Hook-Secret": false,
		"Upload-Offset": true, "upload-length": true, "Upload-Metadata": true, "Tus-Resumable": true, "Tus-Checksum-Algorithm": true,
	} {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "POST", Times: always, Action: func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
			http.Error(w, "value "+r.Header.Get(name), http.StatusForbidden)
		}})
		client, err := tus.NewClient(srv.Endpoint(), &tus.Options{Header: http.Header{name: {planted}}, Checksums: []checksum.Algorithm{}})
		if errors.Is(err, tus.ErrInvalidInput) != reserved {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		_, err = client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
		if err == nil || strings.Contains(err.Error(), planted) || srv.Requests()[0].Header.Get(name) != planted {
			t.Errorf("%s: error is %v", name, err)
		}
		client.CloseIdleConnections()
	}
}
