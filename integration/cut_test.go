package integration_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/integration/netfault"
	"github.com/seed-175555ba/tus-go/integration/tusdtest"
	"github.com/seed-175555ba/tus-go/tus"
)

// Positions in the streams of a connection.
var (
	inPatchHeader   = []string{"PATCH /"}
	inPatchBody     = []string{"PATCH /", "\r\n\r\n"}
	inPatchResponse = []string{"HTTP/1.1 201", "HTTP/1.1 204"}
)

func fault(in netfault.Direction, since []string, after int64, do netfault.Action) netfault.Plan {
	return netfault.Plan{Faults: []netfault.Fault{{In: in, Since: since, After: after, Do: do}}}
}

// throughProxy starts a tusd behind a proxy, and a client with a short stall
// timeout.
func throughProxy(t testing.TB) (*tusdtest.Server, *netfault.Proxy, *tus.Client, *failures) {
	t.Helper()
	server := tusdtest.Start(t, nil)
	proxy := netfault.New(t, server.Addr())
	seen := &failures{}
	client := newClient(t, proxy.Through(server.Endpoint()), tus.Options{
		StallTimeout: time.Second, ResponseTimeout: 2 * time.Second,
		Hooks: seen.hooks(),
	})
	return server, proxy, client, seen
}

func TestPatch_CutResumesAtStoredOffset(t *testing.T) {
	t.Parallel()
	const size = 24 * mib
	tests := []struct {
		name  string
		in    netfault.Direction
		since []string
		after int64
	}{
		{"in the request header", netfault.Up, inPatchHeader, 20},
		{"before the body", netfault.Up, inPatchBody, 0},
		{"after the first byte", netfault.Up, inPatchBody, 1},
		{"in the middle of the body", netfault.Up, inPatchBody, 9*mib + 12345},
		{"before the last byte", netfault.Up, inPatchBody, size - 1},
		{"after the last byte", netfault.Up, inPatchBody, size},
		{"in the response status", netfault.Down, inPatchResponse, 1},
		{"in the response header", netfault.Down, inPatchResponse, 30},
	}
	actions := map[string]netfault.Action{
		"closed": netfault.Close, "reset": netfault.Reset, "stalled": netfault.Stall,
	}
	for _, test := range tests {
		for word, action := range actions {
			t.Run(word+" "+test.name, func(t *testing.T) {
				t.Parallel()
				server, proxy, client, seen := throughProxy(t)
				f := newFile(t, size)
				proxy.Next(fault(test.in, test.since, test.after, action))
				res, err := client.UploadFile(testContext(t), f.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, server, res.URL, f)
				wantNoLeftovers(t, server)
				wantNothingResent(t, &server.Journal, f, res.Stats)
				if proxy.Fired() != 1 || res.Stats.Retries == 0 || server.Count("POST") != 1 {
					t.Errorf("%d faults, %d retries, %d creations", proxy.Fired(), res.Stats.Retries, server.Count("POST"))
				}
				if test.in == netfault.Down && res.Stats.Resent > 0 {
					t.Errorf("%d bytes were resent, but the server had them all", res.Stats.Resent)
				}
				if action == netfault.Stall && !seen.has(tus.ErrStalled) {
					t.Errorf("failures were %v", seen.all())
				}
			})
		}
	}
}

func TestCreation_CutIsRetried(t *testing.T) {
	t.Parallel()
	places := map[string]struct {
		in    netfault.Direction
		since []string
		after int64
	}{
		"on accept":               {netfault.Up, nil, 0},
		"in the OPTIONS":          {netfault.Up, []string{"OPTIONS /"}, 3},
		"in the OPTIONS response": {netfault.Down, []string{"HTTP/1.1 200"}, 3},
		"in the POST":             {netfault.Up, []string{"POST /"}, 3},
		"in the POST response":    {netfault.Down, []string{"HTTP/1.1 201"}, 3},
	}
	for name, place := range places {
		for _, size := range []int64{0, 1000, 9 * mib} {
			if size == 0 && strings.Contains(name, "OPTIONS") {
				continue // an empty file needs none
			}
			t.Run(fmt.Sprintf("%s/size %d", name, size), func(t *testing.T) {
				t.Parallel()
				server, proxy, client, _ := throughProxy(t)
				f := newFile(t, size)
				proxy.Next(
					fault(place.in, place.since, place.after, netfault.Reset),
					fault(place.in, place.since, place.after, netfault.Close),
				)
				res, err := client.UploadFile(testContext(t), f.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, server, res.URL, f)
				if proxy.Fired() == 0 {
					t.Error("nothing was cut")
				}
			})
		}
	}
}

func TestHead_CutIsRetried(t *testing.T) {
	t.Parallel()
	server, proxy, client, _ := throughProxy(t)
	f := newFile(t, 24*mib)
	proxy.Next(
		fault(netfault.Up, inPatchBody, 10*mib, netfault.Reset),
		fault(netfault.Up, []string{"HEAD /"}, 3, netfault.Reset),
		fault(netfault.Down, []string{"HTTP/1.1 200"}, 3, netfault.Close),
	)
	res, err := client.UploadFile(testContext(t), f.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	wantNothingResent(t, &server.Journal, f, res.Stats)
	if proxy.Fired() != 3 || res.Stats.Retries != 3 {
		t.Errorf("%d faults, %d retries", proxy.Fired(), res.Stats.Retries)
	}
}

func TestUpload_RepeatedCutsComplete(t *testing.T) {
	t.Parallel()
	for word, action := range map[string]netfault.Action{"closed": netfault.Close, "reset": netfault.Reset} {
		for _, chunk := range []int64{0, 5 * mib} {
			t.Run(fmt.Sprintf("%s/chunk %d", word, chunk), func(t *testing.T) {
				server, proxy, client, _ := throughProxy(t)
				f := newFile(t, 40*mib)
				const every = 3 * mib
				proxy.Always(fault(netfault.Up, nil, every, action))
				res, err := client.UploadFile(testContext(t), f.path, &tus.UploadOptions{ChunkSize: chunk})
				if err != nil {
					t.Fatal(err)
				}
				wantStored(t, server, res.URL, f)
				wantNothingResent(t, &server.Journal, f, res.Stats)
				if want := int(f.size / every); proxy.Fired() < want || res.Stats.Retries < want {
					t.Errorf("%d faults, %d retries, want at least %d", proxy.Fired(), res.Stats.Retries, want)
				}
			})
		}
	}
}

func TestUpload_CutOverTLSResumes(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			server := tusdtest.StartTLS(t, nil)
			proxy := netfault.New(t, server.Addr())
			transport := tus.NewTransport()
			if proto == "HTTP/2.0" {
				transport = &http.Transport{ForceAttemptHTTP2: true}
			}
			transport.TLSClientConfig = &tls.Config{RootCAs: server.RootCAs()}
			client := newClient(t, proxy.Through(server.Endpoint()), tus.Options{
				HTTPClient: &http.Client{Transport: transport},
			})
			f := newFile(t, 24*mib)
			proxy.Next(fault(netfault.Up, nil, 10*mib, netfault.Reset), fault(netfault.Up, nil, 5*mib, netfault.Close))
			res, err := client.UploadFile(testContext(t), f.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, server, res.URL, f)
			wantNothingResent(t, &server.Journal, f, res.Stats)
			if proxy.Fired() != 2 || server.Count("PATCH") != 3 || server.Requests()[0].Proto != proto {
				t.Errorf("%d faults, requests %v", proxy.Fired(), server.Methods())
			}
		})
	}
}

func TestPatch_TruncatedBodyIsRecovered(t *testing.T) {
	t.Parallel()
	// Only the direction to the server ends: tusd keeps the received bytes and
	// responds 400 ERR_UNEXPECTED_EOF.
	server, proxy, client, _ := throughProxy(t)
	f := newFile(t, 24*mib)
	proxy.Next(fault(netfault.Up, inPatchBody, 10*mib, netfault.Truncate))
	res, err := client.UploadFile(testContext(t), f.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, server, res.URL, f)
	if res.Stats.Requests["HEAD"] != 1 {
		t.Errorf("stats are %+v", res.Stats)
	}
	wantContiguousPatches(t, &server.Journal, f)
	if proxy.Fired() != 1 {
		t.Error("nothing was cut")
	}
}

func TestRetry_DeadServerEndsAfterMaxRetries(t *testing.T) {
	t.Parallel()
	server, proxy, _, _ := throughProxy(t)
	proxy.Always(fault(netfault.Up, nil, 0, netfault.Reset))
	client := newClient(t, proxy.Through(server.Endpoint()), tus.Options{Retry: tus.RetryPolicy{
		MaxRetries: 3, Delay: fastRetries().Delay,
	}})
	res, err := client.UploadFile(testContext(t), newFile(t, 1000).path, nil)
	var e *tus.Error
	if !errors.As(err, &e) || e.Method != "POST" || res.Stats.Retries != 3 {
		t.Errorf("%d retries, then %v", res.Stats.Retries, err)
	}
	if len(server.Requests()) > 0 {
		t.Errorf("requests came through: %v", server.Methods())
	}
}
