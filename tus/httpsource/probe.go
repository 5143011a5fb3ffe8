package httpsource

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/async"
)

// firstVersion returns the version of the first probe, which it makes if necessary.
func (s *Source) firstVersion(ctx context.Context) (*version, error) {
	if v := s.first.Load(); v != nil {
		return v, nil // without a wait for the lock
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	return s.version(ctx)
}

// version is firstVersion, but also returns the error of a change. The lock must be held.
func (s *Source) version(ctx context.Context) (*version, error) {
	if v := s.first.Load(); v != nil {
		return v, s.changed
	}
	v, err := s.probe(ctx)
	if err != nil {
		return nil, err
	}
	s.first.Store(&v)
	return &v, nil
}

// probe requests the first byte and, if ranges cannot be used, all data, which is kept for
// the first reader. Later responses are compared with the header of that response, because
// a range may have fewer fields.
func (s *Source) probe(ctx context.Context) (version, error) {
	v, recent, f, err := s.probeRange(ctx)
	if recent && err == nil {
		if err = async.Sleep(ctx, time.Second); err == nil {
			v, _, f, err = s.probeRange(ctx)
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
	return s.probeWhole(f, v)
}

// probeRange requests the first byte. recent reports whether ranges may be usable in a
// probe one second later. f, if not nil, is a response that is no range.
func (s *Source) probeRange(ctx context.Context) (v version, recent bool, f *flow, err error) {
	f, err = s.get(ctx, http.Header{"Range": {"bytes=0-0"}})
	if err != nil {
		return v, false, nil, err
	}
	v, recent = validators(f.resp.Header)
	switch f.resp.StatusCode {
	case http.StatusPartialContent:
		recent = v.readRange(f) == nil && recent && v.sized // otherwise its ranges cannot be used
	case http.StatusRequestedRangeNotSatisfiable:
		total, ok := unsatisfied(f.resp.Header)
		v.sized, recent = ok && total == 0, false
	default:
		return v, false, f, nil
	}
	f.close()
	return v, recent, nil, nil
}

// probeWhole reads f, the response to a request for all data. ranged is the version of a
// response with a range.
func (s *Source) probeWhole(f *flow, ranged version) (version, error) {
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

// readRange reads the size from a response with the first byte.
func (v *version) readRange(f *flow) error {
	part, err := f.contentRange()
	if err == nil {
		err = f.checkEncoding()
	}
	switch {
	case err != nil:
		return err
	case part.start != 0 || part.end != 1:
		return f.failed(fmt.Errorf("requested byte 0, received bytes %d to %d", part.start, part.end-1))
	}
	f.left = 1
	v.size, v.sized = part.total, part.sized
	v.ranges = v.strong && v.sized
	return nil
}

// readWhole reads the size, if known, from a response with all data.
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
