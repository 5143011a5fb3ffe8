//go:build unix

package pgstore_test

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
	"time"

	"github.com/jackc/pgx/v5"
)

// password is the password of the superuser of test clusters.
const password = "s3cret-pa55word"

// cluster is a PostgreSQL server of a test, with its own data directory.
type cluster struct {
	dir  string // of the test
	port int
	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// program returns the path of a program of PostgreSQL or PgBouncer, or "" if it is missing.
// Debian keeps the servers out of the search path.
func program(name string) string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) + strings.Compare(b, a) })
	for _, dir := range append(dirs, "/usr/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	path, _ := exec.LookPath(name)
	return path
}

// newCluster makes an empty cluster in dir, with settings for its configuration.
func newCluster(dir string, settings ...string) (*cluster, error) {
	c := &cluster{dir: dir, args: settings}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil {
		return nil, err
	}
	return c, runProgram(dir, "initdb", "-D", c.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret,
		"-E", "UTF8", "--locale=C", "--no-sync")
}

// newStandby makes a standby of the cluster in dir.
func (c *cluster) newStandby(dir string) (*cluster, error) {
	standby := &cluster{dir: dir, args: []string{"cluster_name=standby"}}
	if err := standby.prepare(); err != nil {
		return nil, err
	}
	return standby, runProgram(dir, "pg_basebackup", "-D", standby.data(), "-d", c.url(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
}

// prepare gives dir to the user of the server, and chooses a port.
func (c *cluster) prepare() error {
	if who, err := unprivileged(); err != nil {
		return err
	} else if who != nil {
		if err := os.Chown(c.dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	var err error
	c.port, err = freePort()
	return err
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// url returns the connection string of the superuser.
func (c *cluster) url() string { return urlAt(c.port) }

func urlAt(ports ...int) string {
	var hosts []string
	for _, port := range ports {
		hosts = append(hosts, fmt.Sprint("127.0.0.1:", port))
	}
	return "postgres://postgres:" + password + "@" + strings.Join(hosts, ",") + "/postgres?sslmode=disable"
}

// start starts the server and waits until it accepts connections.
func (c *cluster) start() error {
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.port), "-k", c.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB"}
	for _, setting := range c.args {
		args = append(args, "-c", setting)
	}
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		// The memory of a killed server is in use until its last backend has ended.
		if c.cmd == nil || !c.running() {
			var err error
			if c.cmd, err = startProgram(c.dir, "postgres", args...); err != nil {
				return err
			}
			c.done = make(chan struct{})
			go func(cmd *exec.Cmd, done chan struct{}) {
				_ = cmd.Wait()
				close(done)
			}(c.cmd, c.done)
		}
		var conn *pgx.Conn
		if conn, last = pgx.Connect(context.Background(), c.url()); last == nil {
			return conn.Close(context.Background())
		}
	}
	c.signal(syscall.SIGQUIT)
	return fmt.Errorf("postgres did not start: %w", last)
}

func (c *cluster) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// signal sends a signal to the server, waits until it has ended, and reports its signal.
func (c *cluster) signal(s os.Signal) {
	if c.cmd != nil && c.running() {
		_ = c.cmd.Process.Signal(s)
		<-c.done
	}
}

// kill kills the server with SIGKILL.
func (c *cluster) kill() { c.signal(syscall.SIGKILL) }

// stop stops the server at once.
func (c *cluster) stop() { c.signal(syscall.SIGQUIT) }

// exec runs a statement as the superuser.
func (c *cluster) exec(statement string) error {
	conn, err := pgx.Connect(context.Background(), c.url())
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), statement)
	return errors.Join(err, conn.Close(context.Background()))
}

// runProgram runs a program to its end.
func runProgram(dir, name string, args ...string) error {
	cmd, err := command(dir, name, args...)
	if err != nil {
		return err
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, &output)
	}
	return nil
}

func startProgram(dir, name string, args ...string) (*exec.Cmd, error) {
	cmd, err := command(dir, name, args...)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, cmd.Start()
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

// freePort returns a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
