package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/link"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestRun_OutageOfDaysIsNotHammered(t *testing.T) {
	for name, err := range map[string]error{
		"network": networkError(), "credentials": statusError(401), "forbidden": statusError(403),
		"overload": statusError(503), "broken": statusError(500), "store": fmt.Errorf("%w: disk full", tus.ErrStore),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.config.Scan = 10 * time.Minute
			for _, name := range numberedNames(100) {
				s.write(name, name)
			}
			down := true
			s.respond = func(spool.File) error {
				if down {
					return err
				}
				return nil
			}
			s.run(func() {
				time.Sleep(48 * time.Hour)
				if n := s.count(); n < 48*60/6 || n > 48*60/3 {
					t.Errorf("%d attempts in two days", n)
				}
				s.locked(func() { down = false })
				time.Sleep(20 * time.Minute)
			})
			if len(s.stored) != 100 || s.logged("files wait; retrying") != 1 || s.logged("server reachable again") != 1 {
				t.Errorf("%d files stored, logs %q", len(s.stored), s.logs)
			}
			wantFiles(t, filepath.Join(s.dir, ".failed"))
		})
	}
}

func TestRun_RetryInFlightStopsOtherUploads(t *testing.T) {
	s := newSite(t)
	var started []string
	upload := s.config.Upload
	s.config.Upload = func(ctx context.Context, f spool.File, link *link.Link) (*tus.Result, error) {
		s.locked(func() { started = append(started, f.Name) })
		if f.Name == "a" {
			link.Failed(networkError())
			time.Sleep(2 * time.Minute)
			link.Reached()
			time.Sleep(2 * time.Minute)
		}
		return upload(ctx, f, link)
	}
	wantStarted := func(want ...string) {
		t.Helper()
		s.locked(func() {
			if !slices.Equal(started, want) {
				t.Errorf("started %q, want %q", started, want)
			}
		})
	}
	s.write("a", "first")
	s.run(func() {
		time.Sleep(10 * time.Second)
		s.write("b", "second")
		time.Sleep(time.Minute)
		wantStarted("a")
		if s.logged("server unreachable: no route to host; 1 file waits; retrying") != 1 {
			t.Error("the outage was not logged")
		}
		time.Sleep(time.Minute)
		wantStarted("a", "b")
		if s.logged("server reachable again") != 1 {
			t.Error("the end of the outage was not logged")
		}
		time.Sleep(4 * time.Minute)
	})
	s.wantStored("second", "first")
}

func TestRun_PoisonFileIsSetAside(t *testing.T) {
	for name, err := range map[string]error{"500": statusError(500), "404": statusError(404), "protocol": tus.ErrProtocol, "disk": errors.New("input/output error")} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.write("sub/poison", "bad")
			s.respond = func(f spool.File) error {
				if strings.Contains(f.Name, "poison") {
					return err
				}
				return nil
			}
			s.run(func() {
				for i := range 200 {
					s.write(fmt.Sprint(i), "good") // the server accepts other files
					time.Sleep(time.Minute)
				}
			})
			if len(s.stored) != 200 {
				t.Errorf("%d files stored", len(s.stored))
			}
			got := s.kinds(filepath.Join("sub", "poison"))
			if got[len(got)-1] != spool.SetAside || slices.Contains(got[:len(got)-1], spool.SetAside) || len(got) < 3 || len(got) > 12 {
				t.Errorf("attempts ended with %q", got)
			}
			reason, readErr := os.ReadFile(filepath.Join(s.dir, ".failed", "sub", "poison.reason.txt"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			for _, want := range []string{"file: poison\n", "time: 20", "attempts: 3\n", "url: http://host/files/1\n", "error: " + err.Error() + "\n"} {
				if !strings.Contains(string(reason), want) {
					t.Errorf("reason is %q, without %q", reason, want)
				}
			}
		})
	}
}

func TestRun_LoneFileIsNotBlamedForServer(t *testing.T) {
	s := newSite(t)
	s.write("a", "content")
	s.respond = func(spool.File) error { return statusError(500) }
	s.run(func() { time.Sleep(24 * time.Hour) })
	wantFiles(t, s.dir, "a=content")
}

func TestRun_BlockedFileDoesNotBlockOthers(t *testing.T) {
	s := newSite(t)
	s.config.Concurrency = 1
	for _, name := range numberedNames(20) {
		s.write(name, name)
	}
	s.age("file-000", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) // first in the queue
	s.respond = func(f spool.File) error {
		if f.Name == "file-000" { // a proxy cuts this file
			return networkError()
		}
		return nil
	}
	s.run(func() { time.Sleep(time.Hour) })
	if len(s.stored) != 19 {
		t.Errorf("%d files stored", len(s.stored))
	}
	wantFiles(t, filepath.Join(s.dir, ".failed"))
}

func TestRun_OutageTriesOtherFileNext(t *testing.T) {
	for range 10 { // the waits are random
		s := newSite(t)
		s.config.Concurrency = 1
		s.write("good", "good")
		s.write("poison", "bad")
		s.age("poison", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
		s.respond = func(f spool.File) error {
			if f.Name == "poison" {
				return statusError(500)
			}
			return nil
		}
		s.run(func() { time.Sleep(time.Minute) })
		if len(s.attempts) < 2 || !slices.Equal(s.attempts[:2], []string{"poison", "good"}) {
			t.Errorf("attempts were %q", s.attempts)
		}
	}
}

func TestRun_RefusedFileIsSetAsideAtOnce(t *testing.T) {
	for name, err := range map[string]error{
		"400": statusError(400), "413": &tus.Error{StatusCode: 413, Err: tus.ErrTooLarge}, "unsupported": tus.ErrUnsupported,
		"unconfirmed": fmt.Errorf("%w: %w", tus.ErrUnconfirmed, statusError(500)), "mismatch": tus.ErrSourceMismatch,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.config.GiveUp = 10
			s.write("a", "content")
			s.respond = func(spool.File) error { return err }
			s.run(func() { time.Sleep(time.Hour) })
			if s.count() != 1 || !slices.Equal(s.kinds("a"), []spool.Kind{spool.SetAside}) {
				t.Errorf("%d attempts, ends %q", s.count(), s.kinds("a"))
			}
			if _, err := os.Stat(filepath.Join(s.dir, ".failed", "a")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRun_RefusalOfAllFilesKeepsSpool(t *testing.T) {
	s := newSite(t)
	s.config.Concurrency = 1
	for _, name := range numberedNames(100) {
		s.write(name, name)
	}
	s.respond = func(spool.File) error { return statusError(400) } // a wrong endpoint
	s.run(func() { time.Sleep(24 * time.Hour) })
	aside := 0
	for _, e := range s.ends {
		if e.Kind == spool.SetAside {
			aside++
		}
	}
	if aside > 5 || s.logged("server refuses uploads: 400 Bad Request") == 0 || s.count() > 600 {
		t.Errorf("%d files set aside in %d attempts, logs %q", aside, s.count(), s.logs)
	}
}

func TestRun_GiveUpZeroSetsNothingAside(t *testing.T) {
	s := newSite(t)
	s.config.GiveUp = 0
	s.write("a", "content")
	s.respond = func(spool.File) error { return statusError(413) }
	s.run(func() { time.Sleep(24 * time.Hour) })
	wantFiles(t, s.dir, "a=content")
}

func TestRun_FailedMoveIsRetriedWithoutUpload(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file can replace the directory there")
	}
	s := newSite(t)
	s.config.MoveTo = filepath.Join(filepath.Dir(s.dir), "done")
	if err := os.WriteFile(s.config.MoveTo, nil, 0o644); err != nil { // not a directory
		t.Fatal(err)
	}
	s.write("a", "content")
	s.run(func() {
		time.Sleep(time.Hour)
		s.locked(func() {
			if len(s.ends) != 1 || s.ends[0].Err == nil {
				t.Errorf("ends %+v", s.ends)
			}
		})
		if err := os.Remove(s.config.MoveTo); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
	})
	s.wantStored("content")
	wantFiles(t, s.config.MoveTo, "a=content")
	wantFiles(t, s.dir)
}
