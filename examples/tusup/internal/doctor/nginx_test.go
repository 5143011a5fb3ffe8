package doctor_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
)

// startNginx starts an nginx in front of backend until the end of the test, and returns its
// URL. settings are those of the location.
func startNginx(t *testing.T, backend, settings string) string {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx" // of Debian, not in the PATH of users
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("NOTICE: nginx is not installed (apt-get install nginx-light): nothing is tested behind it")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr error;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		location / {
			proxy_pass %[3]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			%[4]s
		}
	}
}
`, dir, address, backend, settings)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	cmd := exec.Command(path, "-p", dir, "-e", "stderr", "-c", config)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("nginx: %s", log)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

func TestNginx_SettingsAreReported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings string
		checks   outcomes
		flags    string
	}{
		"streaming": {
			"proxy_request_buffering off; client_max_body_size 0;",
			outcomes{"patch": doctor.OK, "resume": doctor.OK, "buffering": doctor.OK, "body-size": doctor.OK}, "",
		},
		"buffering": {
			"client_max_body_size 0;",
			outcomes{"patch": doctor.OK, "resume": doctor.OK, "buffering": doctor.Warning, "body-size": doctor.OK}, "",
		},
		"defaults": {
			"",
			outcomes{"patch": doctor.OK, "resume": doctor.OK, "buffering": doctor.Warning, "body-size": doctor.Warning}, "--chunk-size 1MiB",
		},
		"limit": {
			"proxy_request_buffering off; client_max_body_size 5m;",
			outcomes{"buffering": doctor.OK, "body-size": doctor.Warning}, "--chunk-size 4MiB",
		},
		"PATCH blocked": {
			"proxy_request_buffering off; client_max_body_size 0; if ($request_method = PATCH) { return 405; }",
			outcomes{"patch": doctor.Warning, "resume": doctor.OK, "buffering": doctor.OK}, "--method-override",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tusd, dir := startTusd(t)
			report := run(t, doctor.Config{Endpoint: startNginx(t, tusd.URL, test.settings) + "/files/"})
			want(t, report, test.checks)
			want(t, report, outcomes{"connection": doctor.OK, "options": doctor.OK, "location": doctor.OK, "finished": doctor.OK, "termination": doctor.OK, "cleanup": doctor.OK})
			wantVerdict(t, report, true, test.flags)
			wantEmpty(t, dir, report)
		})
	}
}

func TestNginx_TextsNameSettings(t *testing.T) {
	t.Parallel()
	tusd, _ := startTusd(t)
	report := run(t, doctor.Config{Endpoint: startNginx(t, tusd.URL, "") + "/files/"})
	wantText(t, report, "buffering", "proxy_request_buffering off")
	wantText(t, report, "body-size", "a body of 1 MiB is accepted, one of 2 MiB is refused: 413", "client_max_body_size")
	if !strings.Contains(report.Reason, "with the recommended flags") {
		t.Errorf("reason is %q", report.Reason)
	}
}

func TestNginx_BackendDownIsNotTus(t *testing.T) {
	t.Parallel()
	backend, _ := startTusd(t)
	url := startNginx(t, backend.URL, "")
	backend.Close()
	report := run(t, doctor.Config{Endpoint: url + "/files/"})
	wantVerdict(t, report, false, "")
	wantText(t, report, "creation", fmt.Sprint(http.StatusBadGateway), "(nginx")
}
