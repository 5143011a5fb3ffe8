package httpsource

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// known returns what the first look saw, after making it if need be.
func (s *Source) known(ctx context.Context) (*version, error) {
	if v := s.seen.Load(); v != nil {
		return v, nil // without a wait for somebody who checks it
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	return s.version(ctx)
}

// version returns what the first look saw, after making it if need be. The lock
// must be held.
func (s *Source) version(ctx context.Context) (*version, error) {
	if v := s.seen.Load(); v != nil {
		return v, s.changed
	}
	v, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	s.seen.Store(&v)
	return &v, nil
}

// look asks for the first byte, and where ranges cannot be used for everything,
// which is kept for the first reader: what it says of itself is what later answers
// are compared with, as a range may say less.
func (s *Source) look(ctx context.Context) (version, error) {
	v, recent, f, err := s.lookAtRange(ctx)
	if recent && err == nil {
		if err = async.Sleep(ctx, time.Second); err == nil {
			v, _, f, err = s.lookAtRange(ctx)
		}
	}
	if err != nil || v.ranges || v.sized && v.size == 0 {
		return v, err
	}
	if f == nil {
		if f, err = s.get(ctx, nil); err != nil {
			return v, err
		}
	}
	return s.lookAtWhole(f, v)
}

// lookAtRange asks for the first byte. recent says that another look one second
// later may find that ranges can be used. f, if not nil, is an answer that is no
// range.
func (s *Source) lookAtRange(ctx context.Context) (v version, recent bool, f *flow, err error) {
	f, err = s.get(ctx, http.Header{"Range": {"bytes=0-0"}})
	if err != nil {
		return v, false, nil, err
	}
	v, recent = validators(f.resp.Header)
	switch f.resp.StatusCode {
	case http.StatusPartialContent:
		recent = v.readRange(f) == nil && recent && v.sized // or else the server does ranges in a way of its own
	case http.StatusRequestedRangeNotSatisfiable:
		total, ok := unsatisfied(f.resp.Header)
		v.sized, recent = ok && total == 0, false
	default:
		return v, false, f, nil
	}
	f.close()
	return v, recent, nil, nil
}

// lookAtWhole takes f, an answer that is hoped to be all of the data. ranged is what
// an answer with a range told.
func (s *Source) lookAtWhole(f *flow, ranged version) (version, error) {
	v, _ := validators(f.resp.Header)
	v.size, v.sized = ranged.size, ranged.sized
	var err error
	if f.resp.StatusCode == http.StatusOK {
		err = v.readWhole(f)
	} else {
		err = f.unexpected()
	}
	if err != nil {
		f.close()
		return v, err
	}
	s.keep(f, 0)
	return v, nil
}

// readRange takes the size from an answer with the first byte.
func (v *version) readRange(f *flow) error {
	part, err := f.contentRange()
	if err == nil {
		err = f.checkEncoding()
	}
	switch {
	case err != nil:
		return err
	case part.start != 0 || part.end != 1:
		return f.failed(fmt.Errorf("asked for byte 0, got bytes %d to %d", part.start, part.end-1))
	}
	f.left = 1
	v.size, v.sized = part.total, part.sized
	v.ranges = v.strong && v.sized
	return nil
}

// readWhole takes the size from an answer with all of the data, if it tells one.
func (v *version) readWhole(f *flow) error {
	if err := f.checkEncoding(); err != nil {
		return err
	}
	if f.left >= 0 {
		v.size, v.sized = f.left, true
	}
	if !v.sized && f.endsWithConnection() {
		return f.failed(errEndless)
	}
	return nil
}
