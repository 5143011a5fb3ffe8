package tus

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/tus/internal/async"
	"github.com/seed-175555ba/tus-go/tus/internal/readahead"
	"github.com/seed-175555ba/tus-go/tus/internal/recordkey"
)

// resumeKey returns the key by which the upload is stored, empty for a source that cannot
// be fingerprinted.
func (p *planner) resumeKey(ctx context.Context) (string, error) {
	if !p.info.reopens() {
		return "", nil // a stream can be read only once
	}
	print, err := p.fingerprint(ctx)
	if err != nil {
		return "", err
	}
	if print == "" {
		return "", fmt.Errorf("%w: empty fingerprint", ErrInvalidInput)
	}
	scope := p.client.opts.ResumeScope
	if scope == "" {
		scope = p.client.endpoint.String()
	}
	return recordkey.New(print, scope, p.ownKey), nil
}

// fingerprint fingerprints the source. If a Read still hangs when ctx has ended and its
// reader is closed, fingerprint returns without it.
func (p *planner) fingerprint(ctx context.Context) (string, error) {
	if nilPointer(p.info.Fingerprinter) {
		return "", fmt.Errorf("%w: SourceInfo.Fingerprinter is a nil %T", ErrInvalidInput, p.info.Fingerprinter)
	}
	name := cmp.Or(p.opts.ResumeKey, p.info.Identity, p.info.Name)
	info := fingerprint.Info{Name: name, Size: p.info.Size, ModTime: p.info.ModTime, Version: p.info.Version}
	return p.fingerprintWith(ctx, p.fingerprinter(), p.source, p.info, info)
}

// contentFingerprint fingerprints only what a source has on any machine.
func (p *planner) contentFingerprint(ctx context.Context, source Source, info SourceInfo) (string, error) {
	return p.fingerprintWith(ctx, fingerprint.Sample{}, source, info, fingerprint.Info{Size: info.Size})
}

func (p *planner) fingerprintWith(ctx context.Context, f fingerprint.Fingerprinter, source Source, info SourceInfo, attributes fingerprint.Info) (string, error) {
	if content := contentOf(source); content != nil && f == (fingerprint.Sample{}) {
		return f.Fingerprint(ctx, bytes.NewReader(content), attributes)
	}
	_, seeks := innermost(source).(*seekSource)
	reader := &sourceReaderAt{ctx: ctx, source: source, limit: p.client.opts.SourceTimeout, forward: info.Sequential && !seeks}
	defer reader.panics.Repanic()
	print, err := async.Call(ctx, func() (string, error) {
		defer reader.Close()
		return f.Fingerprint(ctx, reader, attributes)
	}, nil)
	switch {
	case err == nil:
		return print, nil
	case ctx.Err() != nil:
		return "", async.ContextError(ctx)
	}
	return "", shortSource(err, fingerprint.ErrSizeMismatch)
}

// fingerprinter returns that of the upload, the client or the source, or the default.
func (p *planner) fingerprinter() fingerprint.Fingerprinter {
	for _, configured := range []fingerprint.Fingerprinter{p.opts.Fingerprinter, p.client.opts.Fingerprinter, p.info.Fingerprinter} {
		if configured != nil {
			return configured
		}
	}
	if !p.info.dated() {
		return fingerprint.Content{}
	}
	if fsys, ok := innermost(p.source).(*fsSource); ok && p.info.Version == "" && fsys.systemPath() == "" && cmp.Or(p.opts.ResumeKey, p.info.Identity) == fsys.name {
		return fingerprint.Content{}
	}
	return fingerprint.Sample{}
}

// sourceReaderAt lets a fingerprint read a Source. It keeps the reader that it
// opened last, for reads that follow each other.
type sourceReaderAt struct {
	ctx    context.Context
	source Source
	limit  time.Duration // of each call of source; 0 for none
	// forward means that reading on is cheaper than opening again.
	forward bool

	mu          sync.Mutex
	reader      io.ReadCloser
	at          int64        // position of reader
	closeReader func()       // closes reader, as the end of ctx does
	panics      async.Panics // of a reader that the end of ctx closes
}

func (s *sourceReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return 0, async.ContextError(s.ctx)
	}
	if file, ok := s.reader.(*os.File); ok && s.at != offset {
		if _, err := file.Seek(offset-s.at, io.SeekCurrent); err == nil {
			s.at = offset
		}
	}
	for s.reader != nil && s.forward && s.at < offset && len(p) > 0 {
		n, err := readahead.Fill(s.ctx, s.reader, p[:min(int64(len(p)), offset-s.at)])
		s.at += int64(n)
		if err != nil {
			return 0, err
		}
	}
	if s.reader == nil || s.at != offset {
		if err := s.open(offset); err != nil {
			return 0, err
		}
	}
	n, err := readahead.Fill(s.ctx, s.reader, p)
	s.at += int64(n)
	if n == len(p) {
		err = nil
	}
	return n, err
}

// open replaces the reader by one at offset. The end of ctx closes it: nothing else may end
// a Read that hangs.
func (s *sourceReaderAt) open(offset int64) error {
	s.close()
	r, err := openSource(s.ctx, s.ctx, s.source, offset, s.limit)
	if err != nil {
		return err
	}
	s.reader, s.at = r, offset
	if _, skipped := r.(*skippedFile); skipped {
		s.forward = true
	}
	s.closeReader = async.CloseWith(s.ctx, r, &s.panics)
	return nil
}

func (s *sourceReaderAt) close() {
	if s.reader != nil {
		s.closeReader()
		s.reader = nil
	}
}

func (s *sourceReaderAt) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
	return nil
}
