package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// plainClient uploads with net/http and minimal code.
type plainClient struct {
	http *http.Client
	task task
	// body returns the request body for a file.
	body func(*os.File) io.Reader
}

func newPlainClient(t task, body func(*os.File) io.Reader) (c *plainClient, done func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrent}
	return &plainClient{&http.Client{Transport: transport}, t, body}, transport.CloseIdleConnections
}

// fileBody lets the kernel send the file.
func fileBody(f *os.File) io.Reader { return f }

// copiedBody hides the file from net/http, as any wrapper does.
func copiedBody(f *os.File) io.Reader { return io.NopCloser(f) }

// uploadPlain is a careful client on net/http with a standard transport.
func uploadPlain(ctx context.Context, t task) error {
	c, done := newPlainClient(t, copiedBody)
	defer done()
	if t.Concurrency > 0 {
		return eachFile(ctx, t, func(ctx context.Context, path string) error {
			return c.whole(ctx, path)
		})
	}
	if t.Chunk > 0 {
		return c.chunks(ctx)
	}
	return c.whole(ctx, t.File)
}

// eachFile calls work for all files of a directory, several at a time.
func eachFile(ctx context.Context, t task, work func(ctx context.Context, path string) error) error {
	paths, err := listFiles(t.File)
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

// exchange sends a request and drops the body of the response.
func (c *plainClient) exchange(ctx context.Context, method, url string, body io.Reader, size int64, header map[string]string) (*http.Response, error) {
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
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	return checkResponse(method, resp)
}

// checkResponse reads a response to its end. It returns an error if the status is
// not a success.
func checkResponse(method string, resp *http.Response) (*http.Response, error) {
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: status %s", method, resp.Status)
	}
	return resp, nil
}

func (c *plainClient) create(ctx context.Context) (url string, err error) {
	resp, err := c.exchange(ctx, http.MethodPost, c.task.Endpoint, nil, 0, map[string]string{"Upload-Length": number(c.task.Size)})
	if err != nil {
		return "", err
	}
	return resp.Header.Get("Location"), nil
}

// createWith sends a file in the request that creates the upload.
func (c *plainClient) createWith(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	resp, err := c.exchange(ctx, http.MethodPost, c.task.Endpoint, c.body(f), c.task.Size, map[string]string{"Upload-Length": number(c.task.Size)})
	if err != nil {
		return err
	}
	_, err = acknowledged(resp, c.task.Size)
	return err
}

// whole sends the file in one request, and resumes it while the connection breaks. It
// hashes the file at the same time if the task requires that.
func (c *plainClient) whole(ctx context.Context, path string) error {
	var group errgroup.Group
	if c.task.SHA256 {
		group.Go(func() error { return hashFile(path) })
	}
	group.Go(func() error { return c.send(ctx, path) })
	return group.Wait()
}

// hashFile computes the SHA-256 of a file.
func hashFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(sha256.New(), struct{ io.Reader }{f}, make([]byte, 256<<10))
	return err
}

func (c *plainClient) send(ctx context.Context, path string) error {
	url, err := c.create(ctx)
	if err != nil {
		return err
	}
	const maxAttempts = 100
	offset := int64(0)
	for range maxAttempts {
		if err = c.rest(ctx, url, path, offset); err == nil {
			return nil
		}
		resp, lost := c.exchange(ctx, http.MethodHead, url, nil, 0, nil)
		if lost != nil {
			return errors.Join(err, lost)
		}
		if offset, lost = acknowledged(resp, 0); lost != nil {
			return lost
		}
	}
	return err
}

func (c *plainClient) rest(ctx context.Context, url, path string, offset int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	resp, err := c.exchange(ctx, http.MethodPatch, url, c.body(f), c.task.Size-offset, map[string]string{"Upload-Offset": number(offset)})
	if err != nil {
		return err
	}
	_, err = acknowledged(resp, c.task.Size)
	return err
}

// chunks sends the file in chunks, each a section of the file.
func (c *plainClient) chunks(ctx context.Context) error {
	url, err := c.create(ctx)
	if err != nil {
		return err
	}
	f, err := os.Open(c.task.File)
	if err != nil {
		return err
	}
	defer f.Close()
	for offset := int64(0); offset < c.task.Size; offset += c.task.Chunk {
		n := min(c.task.Chunk, c.task.Size-offset)
		header := map[string]string{"Upload-Offset": number(offset)}
		if c.task.SHA1 {
			sum, err := checksumOf(f, offset, n)
			if err != nil {
				return err
			}
			header["Upload-Checksum"] = sum
		}
		resp, err := c.exchange(ctx, http.MethodPatch, url, io.NewSectionReader(f, offset, n), n, header)
		if err != nil {
			return err
		}
		if _, err := acknowledged(resp, offset+n); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged returns Upload-Offset, which must be at least least.
func acknowledged(resp *http.Response, least int64) (int64, error) {
	offset, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err == nil && offset < least {
		err = fmt.Errorf("server has %d bytes, not %d", offset, least)
	}
	return offset, err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
