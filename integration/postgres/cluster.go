//go:build unix

// Package postgres runs PostgreSQL servers of the installed version for tests, which may kill
// them, freeze them and promote standbys.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// RequireVariable makes tests fail that would be skipped because PostgreSQL is not installed.
// CI sets it.
const RequireVariable = "TUS_REQUIRE_POSTGRES"

const password = "s3cret-pa55word"

// Cluster is a PostgreSQL server with its own data directory.
type Cluster struct {
	dir      string
	port     int
	settings []string
	cmd      *exec.Cmd
	done     chan struct{} // closed when cmd has ended
}

// Need skips the test if PostgreSQL is not installed, and fails it if RequireVariable is set.
func Need(t testing.TB) {
	t.Helper()
	for _, name := range []string{"initdb", "postgres", "pg_basebackup"} {
		switch {
		case program(name) != "":
		case os.Getenv(RequireVariable) != "":
			t.Fatalf("%s is missing, and %s is set", name, RequireVariable)
		default:
			t.Skipf("NOTICE: %s is missing", name)
		}
	}
}

// New makes an empty cluster, which is stopped at the end of the test. settings are lines of
// its configuration.
func New(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := newCluster(t, settings)
	secret := filepath.Join(c.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(c.dir, "initdb", "-D", c.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret,
		"-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		t.Fatal(err)
	}
	return c
}

// NewStandby makes a standby of a running cluster. Its application name is "standby".
func NewStandby(t testing.TB, primary *Cluster) *Cluster {
	t.Helper()
	c := newCluster(t, append(slices.Clone(primary.settings), "cluster_name=standby"))
	if err := c.CopyFrom(primary); err != nil {
		t.Fatal(err)
	}
	return c
}

func newCluster(t testing.TB, settings []string) *Cluster {
	t.Helper()
	// The directories above that of t.TempDir can only be entered by this user.
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: dir, port: FreePort(t), settings: settings}
	t.Cleanup(func() {
		c.Signal(syscall.SIGCONT)
		c.end(syscall.SIGQUIT)
		if log, err := os.ReadFile(filepath.Join(dir, "postgres.log")); t.Failed() && err == nil {
			t.Logf("log of the server:\n%s", log[max(0, len(log)-2000):])
		}
		os.RemoveAll(dir)
	})
	who, err := unprivileged()
	if err == nil && who != nil {
		err = os.Chown(dir, int(who.Uid), int(who.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// CopyFrom replaces the data of a stopped cluster: it becomes a standby of a running one.
func (c *Cluster) CopyFrom(primary *Cluster) error {
	if err := os.RemoveAll(c.data()); err != nil {
		return err
	}
	if !slices.Contains(c.settings, "cluster_name=standby") {
		c.settings = append(c.settings, "cluster_name=standby")
	}
	return run(c.dir, "pg_basebackup", "-D", c.data(), "-d", URL(primary), "-R", "-X", "stream", "-c", "fast", "--no-sync")
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// URL returns the connection string of the superuser for one of several servers.
func URL(clusters ...*Cluster) string {
	var hosts []string
	for _, c := range clusters {
		hosts = append(hosts, fmt.Sprint("127.0.0.1:", c.port))
	}
	return "postgres://postgres:" + password + "@" + strings.Join(hosts, ",") + "/postgres?sslmode=disable"
}

// Start starts the server and waits until it accepts connections.
func (c *Cluster) Start() error {
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.port), "-k", c.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB"}
	for _, setting := range c.settings {
		args = append(args, "-c", setting)
	}
	var last error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		// The memory of a killed server is in use until its last backend has ended.
		if c.cmd == nil || !c.running() {
			if err := c.spawn(args); err != nil {
				return err
			}
		}
		if last = c.Exec("SELECT 1"); last == nil {
			return nil
		}
	}
	return fmt.Errorf("postgres did not start: %w", last)
}

func (c *Cluster) spawn(args []string) error {
	cmd, err := command(c.dir, "postgres", args...)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(c.dir, "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	c.cmd, c.done = cmd, done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return nil
}

func (c *Cluster) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Kill kills the server with SIGKILL.
func (c *Cluster) Kill() { c.end(syscall.SIGKILL) }

// end sends a signal to the server and waits until it has ended.
func (c *Cluster) end(s syscall.Signal) {
	if c.cmd != nil && c.running() {
		_ = c.cmd.Process.Signal(s)
		<-c.done
	}
}

// Signal sends a signal to all processes of the server.
func (c *Cluster) Signal(s syscall.Signal) {
	if c.cmd == nil || !c.running() {
		return
	}
	// Each backend is in a process group of its own.
	children, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range children {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat))); err == nil && len(fields) > 1 && string(fields[1]) == strconv.Itoa(c.cmd.Process.Pid) {
			_ = syscall.Kill(pid, s)
		}
	}
	_ = c.cmd.Process.Signal(s)
}

// Exec runs a statement as the superuser.
func (c *Cluster) Exec(statement string) error {
	_, err := c.query(statement)
	return err
}

// Query returns the only column of the only row of the result as text, "" if there is none.
func (c *Cluster) Query(statement string) (string, error) { return c.query(statement) }

func (c *Cluster) query(statement string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, URL(c))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	result, err := conn.PgConn().Exec(ctx, statement).ReadAll()
	if err != nil || len(result) == 0 || len(result[0].Rows) == 0 || len(result[0].Rows[0]) == 0 {
		return "", err
	}
	return string(result[0].Rows[0][0]), nil
}

// program returns the path of a program of PostgreSQL, or "" if it is missing. Debian keeps
// the servers out of the search path.
func program(name string) string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) + strings.Compare(b, a) })
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	path, _ := exec.LookPath(name)
	return path
}

// run runs a program to its end.
func run(dir, name string, args ...string) error {
	cmd, err := command(dir, name, args...)
	if err != nil {
		return err
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, output)
	}
	return nil
}

// command returns a command that does not run as root, which the servers refuse.
func command(dir, name string, args ...string) (*exec.Cmd, error) {
	path := program(name)
	if path == "" {
		return nil, fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "LC_ALL=C")
	who, err := unprivileged()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true}
	return cmd, err
}

// unprivileged returns the user for servers if this process is of root, and otherwise nil.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(who.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err, err2)
}

// FreePort returns a port that nobody listens on. The kernel does not give it to outgoing
// connections while the server is down.
func FreePort(t testing.TB) int {
	t.Helper()
	for n := range 10_000 {
		port := 15_000 + (os.Getpid()*31+n*7919+int(time.Now().UnixNano()/1000))%15_000
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
