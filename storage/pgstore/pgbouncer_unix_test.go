//go:build unix

package pgstore_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-175555ba/tus-go/storage/storagetest"
)

// startPgBouncer starts a pooler before a server, and returns its connection string.
func startPgBouncer(t *testing.T, server, mode string) string {
	t.Helper()
	needPrograms(t, "pgbouncer")
	config, err := pgx.ParseConfig(server)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{dir: serverDir(t)}
	if err := c.prepare(); err != nil {
		t.Fatal(err)
	}
	size := 3 // fewer than the connections of the stores
	if mode == "session" {
		size = 40
	}
	file := filepath.Join(c.dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
test = host=%s port=%d dbname=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = %d
server_login_retry = 0.1
`, config.Host, config.Port, config.Database, config.User, config.Password, c.port, mode, size)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, err := startProgram(c.dir, "pgbouncer", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		if log, err := os.ReadFile(filepath.Join(c.dir, "pgbouncer.log")); t.Failed() && err == nil {
			t.Logf("log of PgBouncer:\n%s", log[max(0, len(log)-4000):])
		}
	})
	address := fmt.Sprint("127.0.0.1:", c.port)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return "postgres://any@" + address + "/test?sslmode=disable"
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Every statement may run in another session of the server.
func TestStore_PgBouncerPassesStoreTests(t *testing.T) {
	t.Parallel()
	modes := []string{"transaction", "statement", "session"}
	if testing.Short() {
		modes = modes[:1]
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			storagetest.RunShared(t, openNamed(startPgBouncer(t, serverURL(t), mode)))
		})
	}
}

// PgBouncer reports a server that starts in its own way.
func TestStore_PgBouncerSurvivesKillOfServer(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	s := openStore(t, newPool(t, startPgBouncer(t, c.url(), "transaction")), "tus_uploads")
	w := write(t, s, 8)
	for range 2 {
		w.waitForPuts(t, 200)
		c.kill()
		time.Sleep(500 * time.Millisecond) // attempts fail
		if err := c.start(); err != nil {
			t.Fatal(err)
		}
	}
	w.waitForPuts(t, 200)
	w.wantAcknowledged(t, s)
}
