package tus_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// containerVariable makes a child process enter a container first.
const containerVariable = "TUS_TEST_CONTAINER"

// Kinds of containers. Each is a PID namespace of its own.
const (
	ordinary      = "ordinary"           // with a /proc of its own
	renamed       = "renamed"            // with another host name as well
	noProc        = "no /proc"           // as in a chroot
	noProcHighPID = "no /proc, high PID" // the same, with a higher process ID
)

// enterContainer sets up the kind of container that the process was started for. The
// namespaces exist already.
func enterContainer() {
	kind := os.Getenv(containerVariable)
	if kind == "" {
		return
	}
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "container:", err)
			os.Exit(1)
		}
	}
	os.Unsetenv(containerVariable)
	check(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	switch kind {
	case ordinary:
		check(syscall.Mount("proc", "/proc", "proc", 0, ""))
	case renamed:
		check(syscall.Mount("proc", "/proc", "proc", 0, ""))
		check(syscall.Sethostname([]byte("renamed")))
	case noProc, noProcHighPID:
		check(syscall.Mount("tmpfs", "/proc", "tmpfs", 0, ""))
	}
	if kind != noProcHighPID {
		return
	}
	for range 30 {
		check(exec.Command("/bin/true").Run())
	}
	again := exec.Command(os.Args[0])
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	check(again.Run())
	os.Exit(0)
}

// inContainer starts an upload in a container of that kind. It skips the test if
// namespaces are not permitted.
func inContainer(t *testing.T, kind string, srv *tustest.Server, store string, environment ...string) *child {
	t.Helper()
	start := func(environment ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(append(os.Environ(), containerVariable+"="+kind), environment...)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS,
		}
		return cmd
	}
	probe := start(waitVariable + "=1") // ends at once without input
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no namespaces are permitted here: %v: %s", err, out)
	}
	return startChild(t, start(append(environment, uploadVariable+"="+srv.Endpoint(), storeVariable+"="+store)...))
}

func TestContainer_RestartResumes(t *testing.T) {
	data := randomBytes(processSize)
	for _, kind := range []string{ordinary, renamed, noProc} {
		for _, name := range []string{"uploads.db", "uploads"} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel() // mostly waits
				srv, path := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), name)
				stopped, proceed := stopIn(t, srv, &writers{})
				first := inContainer(t, kind, srv, path)
				receive(t, stopped)
				killed(t, first)
				proceed()
				if name == "uploads" { // the lease has to expire first
					shortenLease(t, path, 2*time.Second)
				}

				next := inContainer(t, kind, srv, path)
				if err := next.wait(); err != nil {
					t.Fatalf("next: %v: %s", err, &next.errors)
				}
				uploads := srv.Uploads()
				if len(uploads) != 1 {
					t.Fatalf("%d uploads", len(uploads))
				}
				wantStored(t, srv.Handler, uploads[0].ID, data)
				if n := bytesReceived(srv); n > processSize+2000 {
					t.Errorf("%d bytes were received", n)
				}
				store, err := openStore(path)
				if err != nil {
					t.Fatal(err)
				}
				wantEmptyStore(t, store)
			})
		}
	}
}

// shortenLease sets the lease of the only record to end soon.
func shortenLease(t *testing.T, path string, lasts time.Duration) {
	t.Helper()
	store, err := openStore(path)
	if err != nil {
		t.Fatal(err)
	}
	all := records(t, store)
	if len(all) != 1 || all[0].Lease == nil {
		t.Fatalf("the process left %+v", all)
	}
	lease := *all[0].Lease
	lease.Until = time.Now().Add(lasts)
	hold(t, store, lease)
}

func TestContainer_LivingProcessIsNotTakenForDead(t *testing.T) {
	for _, kinds := range [][2]string{{noProcHighPID, noProc}, {noProc, noProcHighPID}, {noProcHighPID, ordinary}, {ordinary, ordinary}} {
		t.Run(strings.Join(kinds[:], " and "), func(t *testing.T) {
			t.Parallel() // mostly waits
			srv, path := tustest.NewServer(t, nil), filepath.Join(t.TempDir(), "uploads")
			stopped, proceed := stopIn(t, srv, &writers{})
			first := inContainer(t, kinds[0], srv, path)
			receive(t, stopped)

			second := inContainer(t, kinds[1], srv, path, heldVariable+"=1")
			if err := second.wait(); err == nil {
				t.Error("the second succeeded")
			}
			if text := second.errors.String(); !strings.Contains(text, "stored upload is held by another uploader until") {
				t.Errorf("error of the second is %q", text)
			}
			proceed()
			if err := first.wait(); err != nil {
				t.Errorf("the first: %v: %s", err, &first.errors)
			}
			if n := len(srv.Uploads()); n != 1 {
				t.Errorf("%d uploads", n)
			}
		})
	}
}
