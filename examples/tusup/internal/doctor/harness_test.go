package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"go.uber.org/goleak"
	"golang.org/x/exp/slog"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) {
	// tusd keeps one for each request for 10 seconds.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/tus/tusd/v2/pkg/handler.newDelayedContext.func1"))
}

const mib = 1 << 20

// outcomes are the expected outcomes of checks.
type outcomes map[string]doctor.Outcome

// run tries a server with a client of its own.
func run(t *testing.T, config doctor.Config) doctor.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	config.Wait = 100 * time.Millisecond
	if config.Client == nil {
		config.Client = &http.Client{Transport: tus.NewTransport()}
	}
	report := doctor.Run(ctx, config)
	if ctx.Err() != nil {
		t.Fatalf("not finished after a minute: %+v", report)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, f := range report.Findings {
				t.Logf("%s: %s: %s → %s", f.Check, f.Outcome, f.Detail, f.Advice)
			}
			t.Logf("resumes %v: %s; flags %q; left %v", report.Resumes, report.Reason, report.Flags, report.Left)
		}
	})
	return report
}

// finding returns the finding of a check.
func finding(t *testing.T, r doctor.Report, check string) doctor.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no finding of %s", check)
	}
	return r.Findings[i]
}

// want fails unless the checks have these outcomes.
func want(t *testing.T, r doctor.Report, checks outcomes) {
	t.Helper()
	for check, outcome := range checks {
		if f := finding(t, r, check); f.Outcome != outcome {
			t.Errorf("%s: %s (%s), want %s", check, f.Outcome, f.Detail, outcome)
		}
	}
}

// wantText fails unless the finding of a check contains all texts.
func wantText(t *testing.T, r doctor.Report, check string, texts ...string) {
	t.Helper()
	f := finding(t, r, check)
	for _, text := range texts {
		if !strings.Contains(f.Detail+"\n"+f.Advice, text) {
			t.Errorf("%s: %q, %q does not contain %q", check, f.Detail, f.Advice, text)
		}
	}
}

// wantVerdict fails unless the report has this verdict and these flags, separated by spaces.
func wantVerdict(t *testing.T, r doctor.Report, resumes bool, flags string) {
	t.Helper()
	if r.Resumes != resumes {
		t.Errorf("resumes is %v: %s", r.Resumes, r.Reason)
	}
	if got := strings.Join(r.Flags, " "); got != flags {
		t.Errorf("flags are %q, want %q", got, flags)
	}
	if r.Reason == "" || r.Resumes == strings.Contains(r.Reason, "not resume") {
		t.Errorf("reason is %q", r.Reason)
	}
}

// wantDeleted fails unless something was created and nothing is left.
func wantDeleted(t *testing.T, h *tustest.Handler, r doctor.Report) {
	t.Helper()
	all := h.Uploads()
	for _, u := range all {
		if !u.Terminated {
			t.Errorf("upload %s with %d bytes is left", u.ID, len(u.Data))
		}
		if !strings.Contains(u.Metadata, "filename dHVzdXAtZG9jdG9y") {
			t.Errorf("upload %s has metadata %q", u.ID, u.Metadata)
		}
	}
	if len(all) == 0 || len(r.Left) > 0 {
		t.Errorf("%d uploads were created, reported as left: %v", len(all), r.Left)
	}
}

// startTusd starts a tusd and returns its server and directory.
func startTusd(t *testing.T) (srv *httptest.Server, dir string) {
	t.Helper()
	dir = t.TempDir()
	composer := handler.NewStoreComposer()
	filestore.New(dir).UseIn(composer)
	memorylocker.New().UseIn(composer)
	tusd, err := handler.NewHandler(handler.Config{
		BasePath: "/files/", StoreComposer: composer, RespectForwardedHeaders: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv = httptest.NewServer(http.StripPrefix("/files/", tusd))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv, dir
}

// wantEmpty fails unless tusd has no uploads.
func wantEmpty(t *testing.T, dir string, r doctor.Report) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) > 0 || len(r.Left) > 0 {
		t.Errorf("left: %v, reported: %v (%v)", files, r.Left, err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// startTLS starts h with TLS and returns its URL, a client that trusts it, and one that
// offers HTTP/2.
func startTLS(t *testing.T, h http.Handler, http2 bool) (url string, client, offering *http.Client) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = http2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	newClient := func() *http.Client {
		transport := tus.NewTransport()
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		return &http.Client{Transport: transport}
	}
	client, offering = newClient(), newClient()
	transport := offering.Transport.(*http.Transport)
	transport.Protocols.SetHTTP2(true)
	return srv.URL, client, offering
}
