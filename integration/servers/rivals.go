//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// rivals are the situations with two processes.
func rivals() []Situation {
	return []Situation{
		{Name: "two processes, one file", run: oneFile},
		{Name: "two processes, one upload URL", run: oneURL},
	}
}

// oneFile starts two commands with the same file and resume database. The second one waits for
// the first.
func oneFile(ctx context.Context, s *scene) error {
	f, err := s.file(max(small, 2*s.ChunkSize))
	if err != nil {
		return err
	}
	args := s.uploadArgs(f.path, "--bwlimit", fmt.Sprint(f.size))
	first, err := s.start(nil, args...)
	if err != nil {
		return err
	}
	second, err := s.start(nil, args...)
	if err != nil {
		return errors.Join(err, first.Kill())
	}
	var urls [2]string
	for n, r := range []*running{first, second} {
		got, err := r.finish(ctx)
		if err != nil {
			return errors.Join(err, second.Kill())
		}
		checked, err := s.check(ctx, got, f)
		if err != nil {
			return errors.Join(err, second.Kill())
		}
		urls[n] = checked.URL
	}
	if urls[0] != urls[1] {
		return errors.New("two processes uploaded the file to two upload URLs")
	}
	return nil
}

// oneURL starts two commands with the same upload URL, and with two resume databases: only the
// server can keep them apart. One of them may fail, but a command that succeeds must be right.
func oneURL(ctx context.Context, s *scene) error {
	f, err := s.file(max(small, 3*s.ChunkSize))
	if err != nil {
		return err
	}
	if err := s.cut(ctx, f, kill); err != nil {
		return err
	}
	cut, err := s.unfinished(ctx)
	if err != nil {
		return err
	}
	var commands [2]*running
	for n := range commands {
		state := filepath.Join(s.dir, fmt.Sprint("rival", n))
		args := s.resumeArgs(f.path, "--upload-url", cut.URL, "--state", state, "--bwlimit", fmt.Sprint(f.size))
		if commands[n], err = s.start(nil, args...); err != nil {
			return err
		}
	}
	var failed error
	succeeded := 0
	for _, r := range commands {
		got, err := r.finish(ctx)
		if err != nil {
			return errors.Join(err, commands[1].Kill())
		}
		if _, err := parse(got); err != nil {
			failed = err
			continue
		}
		succeeded++
		if _, err := s.check(ctx, got, f); err != nil {
			return errors.Join(err, commands[1].Kill())
		}
	}
	if succeeded == 0 {
		return fmt.Errorf("both processes failed: %w", failed)
	}
	return s.stored(ctx, cut.URL, f)
}
