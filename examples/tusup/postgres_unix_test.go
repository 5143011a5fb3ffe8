//go:build unix

package main

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

const (
	// requireVariable makes tests fail that would be skipped because PostgreSQL is missing.
	requireVariable = "TUS_REQUIRE_POSTGRES"
	password        = "s3cret-pa55word"
)

// postgres is a server of a test. stop is nil if other tests use it.
type postgres struct {
	url  string
	stop func()
}

// startPostgres starts a server in a directory of the test.
func startPostgres(t *testing.T) postgres {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		bins = append(bins, path)
	}
	if len(bins) == 0 {
		if os.Getenv(requireVariable) != "" {
			t.Fatal("PostgreSQL is missing, and " + requireVariable + " is set")
		}
		t.Skip("NOTICE: PostgreSQL is missing")
	}
	bin := filepath.Dir(bins[len(bins)-1])
	dir, err := os.MkdirTemp("", "tusup") // that of t.TempDir is in one that only this user can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(freeAddress(t), ":")
	data := filepath.Join(dir, "data")
	if out, err := unprivileged(t, dir, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret,
		"-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := unprivileged(t, dir, filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-k", dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB", "-c", "fsync=off")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if server.ProcessState == nil {
			_ = server.Process.Signal(syscall.SIGQUIT)
			_ = server.Wait()
		}
	}
	t.Cleanup(stop)
	return postgres{"postgres://postgres:" + password + "@127.0.0.1:" + port + "/postgres?sslmode=disable", stop}
}

// unprivileged returns a command that does not run as root, which the servers refuse.
func unprivileged(t *testing.T, dir, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "LC_ALL=C")
	if os.Getuid() != 0 {
		return cmd
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

// execute runs statements as the superuser, as soon as the server accepts connections.
func (p postgres) execute(t *testing.T, statements string) {
	t.Helper()
	var conn *pgx.Conn
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err = pgx.Connect(context.Background(), p.url); err == nil {
			break
		}
	}
	if err == nil {
		defer conn.Close(context.Background())
		_, err = conn.Exec(context.Background(), statements)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestState_Postgres(t *testing.T) {
	t.Parallel()
	server := startPostgres(t)
	server.execute(t, `REVOKE CREATE ON SCHEMA public FROM public; CREATE ROLE worker LOGIN PASSWORD '`+password+`'`)
	worker := strings.Replace(server.url, "//postgres:", "//worker:", 1)

	refused := tusup(t, "list", "--state", worker)
	_, remedy, found := strings.Cut(refused.stderr, "as a role that may create tables, run: ")
	if refused.code != exitFailed || !found {
		t.Fatalf("a role that cannot create the table: %+v", refused)
	}
	server.execute(t, remedy) // what the error says
	testSharedState(t, worker)

	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1000)
	server.stop()
	start := time.Now()
	got := tusup(t, "--state", worker, "--endpoint", srv.Endpoint(), path)
	if got.code != exitFailed || len(srv.Requests()) > 0 || !strings.HasPrefix(got.stderr, "tusup: --state: ") {
		t.Errorf("without the server after %v: %d requests, %+v", time.Since(start), len(srv.Requests()), got)
	}
	for _, text := range []string{refused.stderr, got.stderr} {
		if strings.Contains(text, password) {
			t.Errorf("the password is printed: %s", text)
		}
	}
}

func TestState_PostgresURLIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, state := range []string{
		"postgres://me:" + password + "@127.0.0.1:1x/db",
		"postgres://me:" + password + "@127.0.0.1/db?sslmode=s3cret-mode",
		"postgresql://me:a:" + password + "@b@127.0.0.1/db",
		"postgres://me:" + url.QueryEscape(password+"/%") + "%zz@127.0.0.1/db",
		"postgres://me@127.0.0.1/db?password=" + password + "&connect_timeout=x",
	} {
		got := tusup(t, "list", "--state", state)
		if got.code != exitUsage || strings.Contains(got.stderr, "s3cret") || !strings.Contains(got.stderr, "--state: ") {
			t.Errorf("%s: %+v", state, got)
		}
	}
}
