package spool

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// walk lists the directory name in another goroutine, after the current walk if there is
// one: each walk has open directories.
func (s *spool) walk(ctx context.Context, name string) {
	all := name == "."
	if s.walking {
		switch {
		case all:
			s.pending = []string{name}
		case !slices.Contains(s.pending, "."):
			s.pending = append(s.pending, name)
		}
		return
	}
	if all {
		s.scans++
	}
	s.walking = true
	go func() {
		err := s.scan.walk(ctx, name, func(batch []sighting) {
			if len(batch) > 0 {
				s.found <- batch
			}
		})
		s.ended <- walkEnd{all: all, err: err}
	}()
}

// walked handles the end of a walk. After one of the whole directory, entries that it did
// not see are removed if their files are gone.
func (s *spool) walked(ctx context.Context, end walkEnd) {
	s.walking = false
	if len(s.pending) > 0 {
		next := s.pending[0]
		s.pending = s.pending[1:]
		defer s.walk(ctx, next)
	}
	if end.err != nil && !s.said.unreadable {
		s.logf("warning: %v", end.err)
	}
	s.said.unreadable = end.err != nil
	if !end.all {
		return
	}
	for _, e := range s.queue.entries {
		if e.scan != s.scans && e.state != busy && s.scan.look(e.file.Name).kind == gone {
			s.queue.remove(e)
		}
	}
}

// observe handles what is at a name. complete means that the file had a temporary name.
func (s *spool) observe(found sighting, complete bool) {
	e := s.queue.entries[found.name]
	switch found.kind {
	case directory:
		s.notifier.add(found.name)
	case ignoredLink:
		s.sayOnce(&s.said.link, "symbolic links are not uploaded (first: %s)", found.name)
	case ignoredOther:
		s.sayOnce(&s.said.other, "pipes, sockets and devices are not uploaded (first: %s)", found.name)
	case unknown:
		return
	}
	switch {
	case found.kind != regularFile:
		if e != nil && e.state != busy {
			s.queue.remove(e)
		}
		return
	case e == nil:
		e = s.queue.add(found.file, time.Now().Add(s.Settle))
	case e.state == busy:
		e.scan = s.scans // the result has the file as it is afterwards
		return
	case !e.file.equal(found.file):
		s.settle(e, found.file)
	}
	e.scan = s.scans
	if complete && e.state == settling {
		s.queue.set(e, ready, time.Time{})
	}
}

// settle starts over with a new version of a file.
func (s *spool) settle(e *entry, f File) {
	s.queue.unlink(e)
	settled := s.queue.add(f, time.Now().Add(s.Settle))
	settled.scan = s.scans
}

func (s *spool) sayOnce(said *bool, format, name string) {
	if !*said {
		*said = true
		s.logf(format, name)
	}
}

// notified handles a notification of the file system.
func (s *spool) notified(ctx context.Context, event fsnotify.Event) {
	name, ok := s.notifier.name(event)
	if !ok || !s.scan.contains(name) {
		return
	}
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		s.temporaries.lost(name, event.Has(fsnotify.Rename))
		if e := s.queue.entries[name]; e != nil && e.state != busy && s.scan.look(name).kind == gone {
			s.queue.remove(e)
		}
		return
	}
	if !event.Has(fsnotify.Create) && !event.Has(fsnotify.Write) {
		return
	}
	found := s.scan.look(name)
	switch {
	case found.kind == directory:
		if event.Has(fsnotify.Create) && !s.scan.excludes(name) {
			s.notifier.add(name)
			s.walk(ctx, name) // files may have come before the notifications
		}
		return
	case isTemporary(filepath.Base(name)):
		if found.kind == regularFile {
			s.temporaries.saw(name, found.file.id)
		}
		return
	}
	s.observe(found, event.Has(fsnotify.Create) && s.temporaries.gained(found.file))
	// A write may leave size and time as they were.
	if e := s.queue.entries[name]; event.Has(fsnotify.Write) && e != nil && (e.state == settling || e.state == ready) {
		s.queue.set(e, settling, time.Now().Add(s.Settle))
	}
}

// notifierFailed handles a failure of the notifications, some of which may be lost.
func (s *spool) notifierFailed(ctx context.Context, err error) {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		s.notifier.warn(err)
	}
	s.walk(ctx, ".")
}
