package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// doctorReport runs tusup doctor --json, which must print one object.
func doctorReport(t *testing.T, args ...string) (doctor.Report, outcome) {
	t.Helper()
	got := tusup(t, append([]string{"doctor", "--json"}, args...)...)
	var report doctor.Report
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&report); err != nil || d.More() {
		t.Fatalf("standard output is not one object: %v\n%+v", err, got)
	}
	wantSchema(t, got.stdout)
	return report, got
}

// lastLine returns the last line of a text.
func lastLine(text string) string {
	return text[strings.LastIndex(strings.TrimRight(text, "\n"), "\n")+1:]
}

// wantAllDeleted fails unless the server has only deleted uploads.
func wantAllDeleted(t *testing.T, srv *tustest.Server) {
	t.Helper()
	for _, u := range srv.Uploads() {
		if !u.Terminated {
			t.Errorf("upload %s is left", u.ID)
		}
	}
	if len(srv.Uploads()) == 0 {
		t.Error("no upload was created")
	}
}

func TestDoctor_EmbeddedTusdResumes(t *testing.T) {
	t.Parallel()
	endpoint, dir := serve(t)
	got := tusup(t, "doctor", endpoint)
	if got.code != exitOK || got.stderr != "" || lastLine(got.stdout) != "uploads resume\n" {
		t.Errorf("outcome is %+v", got)
	}
	if !strings.Contains(got.stdout, "\nrecommended: no flags are required\n") {
		t.Errorf("printed: %s", got.stdout)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left: %v (%v)", files, err)
	}
	for line := range strings.Lines(got.stdout) {
		if width := len([]rune(strings.TrimSuffix(line, "\n"))); width > 80 {
			t.Errorf("a line has %d columns: %s", width, line)
		}
	}
}

func TestDoctor_RecommendedFlagsCanBeCopied(t *testing.T) {
	t.Parallel()
	endpoint, _ := serve(t)
	got := tusup(t, "doctor", strings.TrimSuffix(endpoint, "/"))
	if got.code != exitOK || lastLine(got.stdout) != "uploads resume with the recommended flags\n" {
		t.Fatalf("outcome is %+v", got)
	}
	_, line, found := strings.Cut(got.stdout, "recommended: tusup ")
	line, _, _ = strings.Cut(line, "\n")
	if !found || line != "--endpoint "+endpoint {
		t.Fatalf("printed: %s", got.stdout)
	}
	path, _ := randomFile(t, 1000)
	mustUpload(t, append(strings.Fields(line), path)...)
}

func TestDoctor_FailureIsTheLastLine(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	defer srv.Close()
	got := tusup(t, "doctor", "--endpoint", srv.URL+"/")
	if got.code != exitFailed || !strings.HasPrefix(lastLine(got.stdout), "uploads do not resume: creation: POST: 200 without Location") {
		t.Errorf("outcome is %+v", got)
	}
	if strings.Contains(got.stdout, "recommended") {
		t.Errorf("printed: %s", got.stdout)
	}
}

func TestDoctor_JSONIsOneObject(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Header.Del("Upload-Checksum")
		h.Serve(w, r)
	}})
	report, got := doctorReport(t, srv.Endpoint())
	if got.code != exitOK || !report.Resumes || strings.Join(report.Flags, " ") != "--checksum off" || len(report.Findings) < 20 || report.Left == nil {
		t.Errorf("report is %+v", report)
	}
	wantAllDeleted(t, srv)
	report, got = doctorReport(t, "http://127.0.0.1:1/files/")
	if got.code != exitFailed || report.Resumes || report.Flags == nil || !strings.Contains(report.Reason, "refused") {
		t.Errorf("report is %+v", report)
	}
}

func TestDoctor_CredentialsOfTheEndpointAreSent(t *testing.T) {
	t.Parallel()
	h := tustest.NewHandler(nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-env" || r.Header.Get("X-Flag") != "of-flag" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	for name, test := range map[string]struct {
		env  string
		args []string
		code int
		text string
	}{
		"environment": {srv.URL + "/files/", nil, exitOK, "OPTIONS requires credentials (401)"},
		"argument":    {"", []string{srv.URL + "/files/"}, exitOK, "OPTIONS requires credentials (401)"},
		"other":       {"http://other.example/files/", []string{srv.URL + "/files/"}, exitFailed, "--trusted-origin " + srv.URL},
		"trusted":     {"http://other.example/files/", []string{"--trusted-origin", srv.URL, srv.URL + "/files/"}, exitOK, "OPTIONS requires credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, append([]string{"doctor", "--header", "X-Flag: of-flag"}, test.args...)...)
			cmd.Env = append(cmd.Env, "TUS_TOKEN=of-env", "TUS_ENDPOINT="+test.env)
			got := finish(t, cmd)
			flat := strings.Join(strings.Fields(got.stdout), " ")
			if got.code != test.code || !strings.Contains(flat, test.text) {
				t.Errorf("outcome is %+v", got)
			}
			if strings.Contains(got.stdout+got.stderr, "of-env") || strings.Contains(got.stdout+got.stderr, "of-flag") {
				t.Errorf("output has credentials: %+v", got)
			}
		})
	}
}

func TestDoctor_MetadataIsSent(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	if got := tusup(t, "doctor", "--metadata", "bucket=films", srv.Endpoint()); got.code != exitOK {
		t.Fatalf("outcome is %+v", got)
	}
	for _, u := range srv.Uploads() {
		if u.Metadata != "bucket ZmlsbXM=,filename dHVzdXAtZG9jdG9y" {
			t.Errorf("metadata is %q", u.Metadata)
		}
	}
	wantAllDeleted(t, srv)
}

func TestDoctor_MaxBodyTriesLargerBodies(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	got := tusup(t, "doctor", "--max-body", "20MiB", srv.Endpoint())
	if got.code != exitOK || !strings.Contains(got.stdout, "a body of 20 MiB is accepted") {
		t.Errorf("outcome is %+v", got)
	}
}

func TestDoctor_InterruptDeletesUploads(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	held := make(chan struct{})
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		close(held)
		tustest.Stall()(w, r, h)
	}})
	cmd := command(t, "doctor", srv.Endpoint())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-held
	start := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	srv.Release()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || time.Since(start) > 8*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(start))
	}
	wantAllDeleted(t, srv)
}

func TestDoctor_UsageErrors(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no endpoint": {},
		"size":        {"--size", "1KiB", "http://127.0.0.1:1/"},
		"timeout":     {"--timeout", "0s", "http://127.0.0.1:1/"},
		"metadata":    {"--metadata", "key", "http://127.0.0.1:1/"},
		"scheme":      {"ftp://127.0.0.1/"},
		"header":      {"--header", "no colon", "http://127.0.0.1:1/"},
		"two URLs":    {"http://127.0.0.1:1/", "http://127.0.0.1:2/"},
		"empty":       {""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tusup(t, append([]string{"doctor"}, args...)...); got.code != exitUsage || got.stdout != "" || got.stderr == "" {
				t.Errorf("outcome is %+v", got)
			}
		})
	}
}

func TestDoctor_ServerTextIsEscaped(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Times: -1, Action: tustest.Respond(400, "red \x1b[31m text\nuploads resume", "Tus-Resumable", "1.0.0")})
	got := tusup(t, "doctor", srv.Endpoint())
	if got.code != exitFailed || strings.Contains(got.stdout, "\x1b") || strings.Contains(got.stdout, "\nuploads resume") || !strings.Contains(got.stdout, "red") {
		t.Errorf("outcome is %+v", got)
	}
}
