package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// simple is the least code that uploads with net/http.
type simple struct {
	http *http.Client
	task task
	// body is what the transport gets to read of a file.
	body func(*os.File) io.Reader
}

func newSimple(t task, body func(*os.File) io.Reader) (s *simple, done func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrent}
	return &simple{&http.Client{Transport: transport}, t, body}, transport.CloseIdleConnections
}

// bare lets net/http hand the file to the kernel.
func bare(f *os.File) io.Reader { return f }

// copied hides the file from net/http, as any wrapper does.
func copied(f *os.File) io.Reader { return io.NopCloser(f) }

// uploadPlain is a client on net/http that is written with care, but without a
// transport of its own.
func uploadPlain(ctx context.Context, t task) error {
	s, done := newSimple(t, copied)
	defer done()
	if t.Concurrency > 0 {
		return eachFile(ctx, t, func(ctx context.Context, path string) error {
			return s.whole(ctx, path)
		})
	}
	if t.Chunk > 0 {
		return s.chunks(ctx)
	}
	return s.whole(ctx, t.File)
}

// eachFile works on all files of a folder, several at a time.
func eachFile(ctx context.Context, t task, work func(ctx context.Context, path string) error) error {
	paths, err := filesIn(t.File)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(t.Concurrency)
	for _, path := range paths {
		group.Go(func() error { return work(ctx, path) })
	}
	return group.Wait()
}

// exchange is one request without a body in its answer.
func (s *simple) exchange(ctx context.Context, method, url string, body io.Reader, size int64, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.ContentLength = size
		req.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	return answered(method, resp)
}

// answered reads an answer to its end, and makes an error of one that says no.
func answered(method string, resp *http.Response) (*http.Response, error) {
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s was answered with %s", method, resp.Status)
	}
	return resp, nil
}

func (s *simple) create(ctx context.Context) (url string, err error) {
	resp, err := s.exchange(ctx, http.MethodPost, s.task.Endpoint, nil, 0, map[string]string{"Upload-Length": number(s.task.Size)})
	if err != nil {
		return "", err
	}
	return resp.Header.Get("Location"), nil
}

// createWith sends a file in the request that creates the upload.
func (s *simple) createWith(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	resp, err := s.exchange(ctx, http.MethodPost, s.task.Endpoint, s.body(f), s.task.Size, map[string]string{"Upload-Length": number(s.task.Size)})
	if err != nil {
		return err
	}
	_, err = acknowledged(resp, s.task.Size)
	return err
}

// whole sends the file in one request, and what is left of it in another one as
// long as the connection breaks.
func (s *simple) whole(ctx context.Context, path string) error {
	url, err := s.create(ctx)
	if err != nil {
		return err
	}
	const patience = 100
	offset := int64(0)
	for range patience {
		if err = s.rest(ctx, url, path, offset); err == nil {
			return nil
		}
		resp, lost := s.exchange(ctx, http.MethodHead, url, nil, 0, nil)
		if lost != nil {
			return errors.Join(err, lost)
		}
		if offset, lost = acknowledged(resp, 0); lost != nil {
			return lost
		}
	}
	return err
}

func (s *simple) rest(ctx context.Context, url, path string, offset int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	resp, err := s.exchange(ctx, http.MethodPatch, url, s.body(f), s.task.Size-offset, map[string]string{"Upload-Offset": number(offset)})
	if err != nil {
		return err
	}
	_, err = acknowledged(resp, s.task.Size)
	return err
}

// chunks sends the file in many requests, each read through a section of it.
func (s *simple) chunks(ctx context.Context) error {
	url, err := s.create(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(s.task.File)
	if err != nil {
		return err
	}
	defer f.Close()
	for offset := int64(0); offset < s.task.Size; offset += s.task.Chunk {
		n := min(s.task.Chunk, s.task.Size-offset)
		header := map[string]string{"Upload-Offset": number(offset)}
		if s.task.SHA1 {
			sum, err := sumOf(f, offset, n)
			if err != nil {
				return err
			}
			header["Upload-Checksum"] = sum
		}
		resp, err := s.exchange(ctx, http.MethodPatch, url, io.NewSectionReader(f, offset, n), n, header)
		if err != nil {
			return err
		}
		if _, err := acknowledged(resp, offset+n); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged reads Upload-Offset, which must be at least least.
func acknowledged(resp *http.Response, least int64) (int64, error) {
	offset, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err == nil && offset < least {
		err = fmt.Errorf("server has %d bytes, not %d", offset, least)
	}
	return offset, err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
