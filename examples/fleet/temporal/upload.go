package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"github.com/seed-175555ba/tus-go/tus"
)

// heartbeatTimeout is how long after the death of a worker the next attempt starts.
const heartbeatTimeout = 30 * time.Second

// UploadFile is a workflow that uploads a file and returns the upload URL.
func UploadFile(ctx workflow.Context, path string) (url string, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 7 * 24 * time.Hour,
		HeartbeatTimeout:    heartbeatTimeout,
	})
	var a *Activities
	err = workflow.ExecuteActivity(ctx, a.Upload, path).Get(ctx, &url)
	return url, err
}

// Activities are the activities of a worker.
type Activities struct {
	Client *tus.Client
}

// errStopped ends an attempt. It is repeated on another worker.
var errStopped = errors.New("the worker stops")

// Upload uploads a file and returns the upload URL. It resumes the upload of the attempt before.
func (a *Activities) Upload(ctx context.Context, path string) (string, error) {
	var token string
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &token); err != nil {
			return "", err
		}
	}
	url, err := a.upload(ctx, path, token)
	if token != "" && errors.Is(err, tus.ErrUploadGone) { // it has expired
		url, err = a.upload(ctx, path, "")
	}
	return url, err
}

// upload uploads a file with heartbeats, and resumes the upload of a token.
func (a *Activities) upload(ctx context.Context, path, token string) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	tokens, beating := make(chan string), sync.WaitGroup{}
	beating.Go(func() { beat(ctx, cancel, token, tokens) })
	opts := &tus.UploadOptions{Token: token, Held: tus.HeldFail, CreationLimit: -1}
	opts.Hooks.OnCreated = func(u *tus.Uploader, _ *tus.Created) { // no byte is sent yet
		if token, err := u.Token(ctx); err == nil {
			select {
			case tokens <- token:
			case <-ctx.Done():
			}
		}
	}
	result, err := a.Client.UploadFile(ctx, path, opts)
	cancel(nil)
	beating.Wait()
	return result.URL, err
}

// beat sends heartbeats with the last token until ctx is done, and cancels it when the worker
// stops.
func beat(ctx context.Context, cancel context.CancelCauseFunc, token string, tokens <-chan string) {
	ticker := time.NewTicker(heartbeatTimeout / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-activity.GetWorkerStopChannel(ctx):
			cancel(errStopped)
			return
		case token = <-tokens:
		case <-ticker.C:
		}
		activity.RecordHeartbeat(ctx, token)
	}
}
