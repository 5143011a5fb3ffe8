//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// interruptions are the situations in which an upload is cut and resumed.
func interruptions() []Situation {
	return []Situation{
		{Name: "kill -9 of tusup, run again", run: resumed(small, kill)},
		{Name: "SIGINT of tusup, run again", run: resumed(small, interrupt)},
		{Name: "kill -9 in chunks, run again", run: inChunksResumed},
		{Name: "kill -9 of a parallel upload", run: inPartsResumed},
		{Name: "kill -9 after 80 MB of 200 MB", Large: true, run: resumed(large, kill)},
		{Name: "kill -9 of the server", run: serverKilled},
		{Name: "upload deleted between two runs", run: deletedBetween},
		{Name: "upload expires between two runs", run: expiredBetween},
	}
}

// kill ends a command as kill -9 does.
func kill(_ context.Context, r *running) error { return r.kill() }

// interrupt ends a command as Ctrl-C does.
func interrupt(ctx context.Context, r *running) error {
	if err := r.Signal(os.Interrupt); err != nil {
		return err
	}
	got, err := r.finish(ctx)
	if err == nil && got.code == 0 {
		return errors.New("tusup exited with 0 after SIGINT")
	}
	return err
}

// cut uploads f at a rate of about a second and ends the command at about 40 %.
func (s *scene) cut(ctx context.Context, f source, end func(context.Context, *running) error, flags ...string) error {
	r, err := s.start(nil, s.uploadArgs(f.path, append(flags, "--bwlimit", fmt.Sprint(f.size))...)...)
	if err != nil {
		return err
	}
	if err := r.created(ctx, 400*time.Millisecond); err != nil {
		return errors.Join(err, r.Kill())
	}
	return end(ctx, r)
}

// resumed cuts an upload and resumes it.
func resumed(size int64, end func(context.Context, *running) error, flags ...string) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		f, err := s.file(max(size, 3*s.ChunkSize))
		if err != nil {
			return err
		}
		if err := s.cut(ctx, f, end, flags...); err != nil {
			return err
		}
		r, err := s.upload(ctx, f, flags...)
		if err == nil && r.ResumedFrom == 0 {
			return errors.New("the server kept nothing of the bytes that were sent before the interruption")
		}
		return err
	}
}

func inChunksResumed(ctx context.Context, s *scene) error {
	if err := s.anyChunkSize(); err != nil {
		return err
	}
	return resumed(small, kill, "--chunk-size", "500000")(ctx, s)
}

func inPartsResumed(ctx context.Context, s *scene) error {
	if err := s.requires("concatenation"); err != nil {
		return err
	}
	return resumed(small, kill, "--parallel", "3")(ctx, s)
}

// serverKilled kills the server in mid-upload and starts it again: the running command resumes.
func serverKilled(ctx context.Context, s *scene) error {
	if s.Kill == nil {
		return notApplicable{"the script keeps uploads in memory"}
	}
	f, err := s.file(max(small, 3*s.ChunkSize))
	if err != nil {
		return err
	}
	// Some proxies try the server again only after a while.
	r, err := s.start(nil, s.uploadArgs(f.path, "--bwlimit", fmt.Sprint(f.size), "--retries", "8")...)
	if err != nil {
		return err
	}
	err = r.created(ctx, 400*time.Millisecond)
	if err == nil {
		err = s.Kill()
	}
	if err == nil {
		err = s.Restart(ctx)
	}
	if err != nil {
		return errors.Join(err, r.Kill())
	}
	got, err := r.finish(ctx)
	if err != nil {
		return err
	}
	_, err = s.check(ctx, got, f)
	return err
}

// deletedBetween deletes an interrupted upload behind the back of tusup: the next run starts
// over.
func deletedBetween(ctx context.Context, s *scene) error {
	if err := s.requires("termination"); err != nil {
		return err
	}
	f, err := s.file(max(small, 3*s.ChunkSize))
	if err != nil {
		return err
	}
	if err := s.cut(ctx, f, kill); err != nil {
		return err
	}
	before, err := s.unfinished(ctx)
	if err != nil {
		return err
	}
	got, err := s.command(ctx, nil, append([]string{"terminate", before.URL}, s.serverFlags()...)...)
	if err != nil {
		return err
	}
	if got.code != 0 {
		return fmt.Errorf("tusup terminate exited with %d: %s", got.code, lastLine(got.stderr))
	}
	r, err := s.upload(ctx, f)
	if err == nil && r.URL == before.URL {
		return errors.New("the deleted upload was resumed")
	}
	return err
}

// expiredBetween waits until an interrupted upload has expired: the next run starts over.
func expiredBetween(ctx context.Context, s *scene) error {
	if s.Expiring == nil {
		return notApplicable{"the server does not let uploads expire"}
	}
	dir := filepath.Join(s.dir, "expiring")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	server, err := s.Expiring(ctx, dir)
	if err != nil {
		return err
	}
	defer server.Close()
	other := *s.Trial
	other.Running = server
	e := &scene{Trial: &other, dir: s.dir}
	err = expired(ctx, e)
	s.exchange = e.exchange
	return err
}

func expired(ctx context.Context, s *scene) error {
	f, err := s.file(small)
	if err != nil {
		return err
	}
	if err := s.cut(ctx, f, kill); err != nil {
		return err
	}
	before, err := s.unfinished(ctx)
	if err != nil {
		return err
	}
	if before.Expires == nil {
		return errors.New("the response to the creation had no Upload-Expires")
	}
	select {
	case <-time.After(time.Until(*before.Expires) + time.Second): // Upload-Expires has whole seconds
	case <-ctx.Done():
		return ctx.Err()
	}
	r, err := s.upload(ctx, f)
	if err == nil && r.URL == before.URL {
		return errors.New("the server still has the expired upload")
	}
	return err
}
