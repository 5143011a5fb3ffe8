package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/seed-175555ba/tus-go/examples/fleet/internal/halfway"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// workerVariable makes the test binary a worker process.
const workerVariable = "TEMPORAL_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) == "" {
		os.Exit(m.Run())
	}
	client, err := tus.NewClientFromEnv(nil)
	if err != nil {
		panic(err)
	}
	a := newAttempt("", client)
	a.onHeartbeat(func(token string) { fmt.Println("token", token) })
	fmt.Println(a.run(os.Args[1])) // the test kills this process
}

// attempt is an attempt of the activity on a worker.
type attempt struct {
	env      *testsuite.TestActivityEnvironment
	activity *Activities
	stop     chan struct{} // closed when the worker stops
}

// newAttempt returns an attempt that gets the token of the one before, or "".
func newAttempt(token string, client *tus.Client) *attempt {
	a := &attempt{
		env:      new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment(),
		activity: &Activities{Client: client},
		stop:     make(chan struct{}),
	}
	a.env.RegisterActivity(a.activity)
	a.env.SetTestTimeout(time.Minute)
	a.env.SetWorkerStopChannel(a.stop)
	if token != "" {
		a.env.SetHeartbeatDetails(token)
	}
	return a
}

// onHeartbeat sets a function for the tokens in heartbeats.
func (a *attempt) onHeartbeat(do func(token string)) {
	a.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var token string
		if err := details.Get(&token); err != nil {
			panic(err)
		}
		do(token)
	})
}

// run runs the attempt and returns the upload URL.
func (a *attempt) run(path string) (url string, err error) {
	value, err := a.env.ExecuteActivity(a.activity.Upload, path)
	if err != nil {
		return "", err
	}
	return url, value.Get(&url)
}

func newClient(t *testing.T, opts *tus.Options) *tus.Client {
	t.Helper()
	client, err := tus.NewClientFromEnv(opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestUpload_KilledWorkerIsTakenOver(t *testing.T) {
	server := halfway.NewServer(t)
	first := exec.Command(os.Args[0], server.File)
	first.Env = append(os.Environ(), workerVariable+"=1")
	first.Stderr = os.Stderr
	output, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Process.Kill() })
	tokens := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(output); lines.Scan(); {
			if token, ok := strings.CutPrefix(lines.Text(), "token "); ok && token != "" {
				tokens <- token
				return
			}
		}
	}()
	token := halfway.Receive(t, tokens, "no heartbeat has a token")
	server.Wait(t)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	server.Cut()

	url, err := newAttempt(token, newClient(t, nil)).run(server.File)
	if err != nil {
		t.Fatal(err)
	}
	server.CheckSentOnce(t)

	// The worker was killed before it could complete the activity.
	again, err := newAttempt(token, newClient(t, nil)).run(server.File)
	if err != nil || again != url {
		t.Errorf("the repeated activity returns %q, %v, want %q", again, err, url)
	}
	server.CheckSentOnce(t)
}

func TestUpload_StoppedWorkerIsTakenOver(t *testing.T) {
	server := halfway.NewServer(t)
	first := newAttempt("", newClient(t, nil))
	tokens := make(chan string, 100)
	first.onHeartbeat(func(token string) { tokens <- token })
	ended := make(chan error, 1)
	go func() {
		_, err := first.run(server.File)
		ended <- err
	}()
	server.Wait(t)
	close(first.stop)
	err := halfway.Receive(t, ended, "the attempt does not end")
	var failure *temporal.ApplicationError // not a CanceledError, which is not repeated
	if !errors.As(err, &failure) || failure.NonRetryable() {
		t.Errorf("the attempt of the stopped worker ends with %v, want an error that is retried", err)
	}
	server.Cut()

	if _, err := newAttempt(<-tokens, newClient(t, nil)).run(server.File); err != nil {
		t.Fatal(err)
	}
	server.CheckSentOnce(t)
}

// The test environment repeats the activity as a server does, with the details of the last
// heartbeat.
func TestUploadFile_FailedAttemptIsResumed(t *testing.T) {
	server := halfway.NewServer(t)
	server.Cut()
	server.Inject(tustest.Fault{Method: "HEAD", Action: tustest.Respond(403, "not now")}) // not retried by the client
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(&Activities{Client: newClient(t, nil)})
	env.ExecuteWorkflow(UploadFile, server.File)
	var url string
	if err := env.GetWorkflowResult(&url); err != nil {
		t.Fatal(err)
	}
	server.CheckSentOnce(t)
	if _, ok := server.Upload(url); !ok {
		t.Errorf("the workflow returns %q, which is no upload", url)
	}
}

func TestUpload_ExpiredUploadStartsOver(t *testing.T) {
	server := halfway.NewServer(t)
	server.Cut()
	first := newAttempt("", newClient(t, nil))
	tokens := make(chan string, 100)
	first.onHeartbeat(func(token string) { tokens <- token })
	url, err := first.run(server.File)
	if err != nil {
		t.Fatal(err)
	}
	server.Forget(url)
	second, err := newAttempt(<-tokens, newClient(t, nil)).run(server.File)
	if stored, ok := server.Upload(second); err != nil || !ok || !stored.Complete() || second == url {
		t.Errorf("the second attempt returns %q, %v, want a complete upload", second, err)
	}
}

// With a store, an attempt fails while another one holds the lease.
func TestUpload_LiveLeaseFailsAttempt(t *testing.T) {
	server := halfway.NewServer(t)
	options := &tus.Options{Store: &storage.Memory{}, RequireStore: true, RememberCompleted: time.Hour}
	first := newAttempt("", newClient(t, options))
	tokens := make(chan string, 100)
	first.onHeartbeat(func(token string) { tokens <- token })
	ended := make(chan error, 1)
	go func() {
		_, err := first.run(server.File)
		ended <- err
	}()
	token := halfway.Receive(t, tokens, "no heartbeat")
	server.Wait(t)
	if _, err := newAttempt(token, newClient(t, options)).run(server.File); err == nil || !strings.Contains(err.Error(), "held") {
		t.Errorf("the second attempt ends with %v while the first one has the lease", err)
	}
	server.Cut()
	if err := halfway.Receive(t, ended, "the attempt does not end"); err != nil {
		t.Error(err)
	}
	server.CheckSentOnce(t)

	server.Forget(server.Uploads()[0].ID) // the backend has processed and deleted it
	before := server.Count("PATCH")
	if _, err := newAttempt(token, newClient(t, options)).run(server.File); err != nil {
		t.Error(err)
	}
	if n := server.Count("PATCH"); n != before {
		t.Errorf("the repeated activity sent %d PATCH requests", n-before)
	}
}
