package tus_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// answer is a response of what stands between client and server, to all requests of a method.
type answer struct {
	method string
	status int
	header []string
	body   string
}

const page = "text/html; charset=utf-8"

// errorOf returns the error of a client that receives the answer, in an upload of 10 bytes
// unless the method is another one.
func errorOf(t *testing.T, a answer) error {
	t.Helper()
	srv := tustest.NewServer(t, nil)
	if a.method == http.MethodHead {
		srv.Inject(tustest.Fault{Method: "PATCH", Times: always, Action: tustest.CutBefore()})
	}
	srv.Inject(tustest.Fault{Method: a.method, Times: always, Action: faults.RespondAfter(a.status, a.body, a.header...)})
	client := newClient(t, srv.Endpoint(), nil)
	switch a.method {
	case http.MethodOptions:
		_, err := client.Capabilities(testContext(t))
		return err
	case http.MethodDelete:
		created, err := client.Create(testContext(t), tus.CreateOptions{Size: 10})
		if err != nil {
			t.Fatal(err)
		}
		return client.Terminate(testContext(t), created.URL)
	}
	_, err := client.Upload(testContext(t), tus.Bytes(randomBytes(10)), whole())
	return err
}

// The error of a response without Tus-Resumable names who sent it and the likely reason, also
// after all retries.
func TestBetween_ErrorNamesSenderAndReason(t *testing.T) {
	const notTus, unknown = "response without Tus-Resumable", "possibly from a proxy or firewall"
	html := func(header ...string) []string { return append([]string{"Content-Type", page}, header...) }
	for name, test := range map[string]struct {
		answer
		want  []string
		err   error // matched by the error, if not nil
		again bool  // it is retried
	}{
		"Varnish":                 {answer{"HEAD", 200, []string{"Via", "1.1 varnish (Varnish/7.1)", "X-Varnish", "32770"}, ""}, []string{notTus, `Via "1.1 varnish (Varnish/7.1)"`, `X-Varnish "32770" of Varnish`, "GET in place of HEAD"}, tus.ErrProtocol, true},
		"Varnish before tusd":     {answer{"HEAD", 200, html("Via", "1.1 varnish", "Tus-Resumable", "1.0.0"), ""}, []string{"no Upload-Offset", "GET in place of HEAD"}, tus.ErrProtocol, false},
		"login page to HEAD":      {answer{"HEAD", 200, html(), ""}, []string{notTus, "page of a login, captive portal"}, tus.ErrProtocol, true},
		"login page to PATCH":     {answer{"PATCH", 200, html("Server", "nginx"), "<title>Log in</title>"}, []string{notTus, `Server "nginx"`, "page of a login", "Log in"}, tus.ErrProtocol, true},
		"login page to POST":      {answer{"POST", 200, html(), ""}, []string{"without Location", notTus, "page of a login"}, tus.ErrProtocol, false},
		"login page to DELETE":    {answer{"DELETE", 200, html(), ""}, []string{notTus, "page of a login"}, tus.ErrProtocol, true},
		"login page to OPTIONS":   {answer{"OPTIONS", 200, html("Server", "nginx"), ""}, []string{notTus, `Server "nginx"`, "page of a login"}, tus.ErrUnsupported, false},
		"redirect to a login":     {answer{"POST", 302, []string{"Location", "https://login.example.org/start?state=1", "Server", "envoy"}, ""}, []string{"login.example.org/start,", notTus, `Server "envoy"`, "redirect to a login page"}, tus.ErrProtocol, false},
		"redirect elsewhere":      {answer{"POST", 303, []string{"Location", "https://lessons.example.org/authors"}, ""}, []string{"lessons.example.org/authors,", notTus, unknown}, tus.ErrProtocol, false},
		"WAF":                     {answer{"PATCH", 403, html("Server", "cloudflare", "CF-Ray", "8a1-FRA"), "<title>Attention</title>"}, []string{notTus, `Server "cloudflare"`, `Cf-Ray "8a1-FRA" of Cloudflare`, "firewall (WAF)"}, tus.ErrUnauthorized, false},
		"WAF at CloudFront":       {answer{"POST", 403, html("X-Amz-Cf-Id", "abc=="), ""}, []string{notTus, `X-Amz-Cf-Id "abc==" of CloudFront`, "firewall (WAF)"}, tus.ErrUnauthorized, false},
		"challenge of Cloudflare": {answer{"PATCH", 403, html("Cf-Mitigated", "challenge"), ""}, []string{notTus, "firewall requires a browser"}, tus.ErrUnauthorized, false},
		"challenge of AWS":        {answer{"HEAD", 202, []string{"X-Amzn-Waf-Action", "challenge"}, ""}, []string{notTus, `X-Amzn-Waf-Action "challenge" of AWS WAF`, "firewall requires a browser"}, tus.ErrProtocol, true},
		"403 in JSON":             {answer{"PATCH", 403, []string{"Content-Type", "application/json"}, `{"error":"not yours"}`}, []string{notTus, unknown, "not yours"}, tus.ErrUnauthorized, false},
		"404 of a body limit":     {answer{"PATCH", 404, html("Server", "Microsoft-IIS/10.0"), "<title>404.13</title>"}, []string{notTus, `Server "Microsoft-IIS/10.0"`, "HEAD finds the upload", "request body of 10 bytes", "IIS", "ChunkSize"}, tus.ErrProtocol, true},
		"404 to the creation":     {answer{"POST", 404, html(), ""}, []string{notTus, "no tus server at this URL"}, nil, false},
		"404 to HEAD":             {answer{"HEAD", 404, []string{"Server", "Caddy"}, ""}, []string{notTus, `Server "Caddy"`, "without a route"}, tus.ErrProtocol, true},
		"407":                     {answer{"POST", 407, nil, ""}, []string{notTus, "proxy requires credentials"}, nil, false},
		"408":                     {answer{"PATCH", 408, []string{"Server", "Apache"}, ""}, []string{notTus, `Server "Apache"`, "body of 10 bytes took longer", "ChunkSize"}, nil, true},
		"408 of the server":       {answer{"PATCH", 408, []string{"Tus-Resumable", "1.0.0"}, ""}, []string{"body of 10 bytes took longer", "ChunkSize"}, nil, true},
		"413":                     {answer{"PATCH", 413, html("Server", "nginx/1.22.1"), ""}, []string{notTus, `Server "nginx/1.22.1"`, "body of 10 bytes exceeds", "ChunkSize", "MinChunkSize"}, tus.ErrTooLarge, false},
		"413 of the server":       {answer{"PATCH", 413, []string{"Tus-Resumable", "1.0.0"}, ""}, []string{"body of 10 bytes exceeds", "ChunkSize"}, tus.ErrTooLarge, false},
		"413 to the creation":     {answer{"POST", 413, []string{"Tus-Resumable", "1.0.0"}, ""}, []string{"the upload has 10 bytes"}, tus.ErrTooLarge, false},
		"429":                     {answer{"PATCH", 429, []string{"Retry-After", "0"}, ""}, []string{notTus, "rate limit"}, nil, true},
		"500":                     {answer{"PATCH", 500, []string{"Server", "nginx"}, ""}, []string{notTus, `Server "nginx"`, unknown}, nil, true},
		"502":                     {answer{"PATCH", 502, html("Server", "nginx"), ""}, []string{notTus, `Server "nginx"`, "no valid response from the server"}, nil, true},
		"503":                     {answer{"HEAD", 503, []string{"Server", "awselb/2.0"}, ""}, []string{notTus, `Server "awselb/2.0"`, "down or overloaded"}, nil, true},
		"504":                     {answer{"PATCH", 504, []string{"Via", "1.1 google"}, ""}, []string{notTus, `Via "1.1 google"`, "response in time"}, nil, true},
		"507":                     {answer{"PATCH", 507, nil, ""}, []string{notTus, "no space left"}, nil, true},
		"511":                     {answer{"POST", 511, html(), ""}, []string{notTus, "captive portal"}, nil, true},
		"522":                     {answer{"PATCH", 522, []string{"Server", "cloudflare"}, ""}, []string{notTus, `Server "cloudflare"`, "response in time"}, nil, true},
		"525":                     {answer{"PATCH", 525, []string{"Server", "cloudflare"}, ""}, []string{notTus, "no valid response"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := errorOf(t, test.answer)
			var e *tus.Error
			if !errors.As(err, &e) || e.Method != test.method || e.StatusCode != test.status {
				t.Fatalf("error is %v", err)
			}
			if tus.IsRetryable(err) != test.again || test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("retryable %v, error is %v", tus.IsRetryable(err), err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %q", want, err)
				}
			}
			if n := strings.Count(err.Error(), notTus); n > 1 || len(err.Error()) > 700 {
				t.Errorf("error repeats itself, or is long: %v", err)
			}
		})
	}
}
