package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/seed-175555ba/tus-go/checksum"
)

// uploadLimit is the least that a Go program can do.
func uploadLimit(ctx context.Context, t task) error {
	switch {
	case t.Parts > 1:
		return uploadParts(ctx, t)
	case t.Chunk > 0:
		return uploadChunks(ctx, t)
	}
	s, done := newSimple(t, bare)
	defer done()
	if t.Concurrency > 0 {
		return eachFile(ctx, t, s.createWith)
	}
	return s.whole(ctx, t.File)
}

// wire is HTTP by hand on one connection.
type wire struct {
	tcp     *net.TCPConn
	answers *bufio.Reader
	host    string
}

func dial(ctx context.Context, endpoint string) (*wire, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return &wire{c.(*net.TCPConn), bufio.NewReader(c), u.Host}, nil
}

func (w *wire) close() { w.tcp.Close() }

// exchange sends a request, with n bytes of f from its position on by sendfile;
// f may be nil.
func (w *wire) exchange(method, target string, f *os.File, n int64, header map[string]string) (*http.Response, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nContent-Length: %d\r\n", method, u.RequestURI(), w.host, n)
	if f != nil {
		head.WriteString("Content-Type: application/offset+octet-stream\r\n")
	}
	for name, value := range header {
		fmt.Fprintf(&head, "%s: %s\r\n", name, value)
	}
	head.WriteString("\r\n")
	if _, err := w.tcp.Write(head.Bytes()); err != nil {
		return nil, err
	}
	if f != nil {
		if sent, err := w.tcp.ReadFrom(&io.LimitedReader{R: f, N: n}); err != nil || sent != n {
			return nil, fmt.Errorf("sent %d bytes of %d: %w", sent, n, err)
		}
	}
	resp, err := http.ReadResponse(w.answers, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	return answered(method, resp)
}

// create makes an upload and returns its URL.
func (w *wire) create(endpoint string, header map[string]string) (string, error) {
	resp, err := w.exchange(http.MethodPost, endpoint, nil, 0, header)
	if err != nil {
		return "", err
	}
	return resp.Header.Get("Location"), nil
}

// patch sends the next n bytes of f as those of the upload from offset on.
func (w *wire) patch(target string, f *os.File, offset, n int64, header map[string]string) error {
	header["Upload-Offset"] = number(offset)
	resp, err := w.exchange(http.MethodPatch, target, f, n, header)
	if err != nil {
		return err
	}
	_, err = acknowledged(resp, offset+n)
	return err
}

// uploadChunks sends a file chunk by chunk over one connection, each added up
// while the one before it is sent.
func uploadChunks(ctx context.Context, t task) error {
	w, err := dial(ctx, t.Endpoint)
	if err != nil {
		return err
	}
	defer w.close()
	f, err := os.Open(t.File)
	if err != nil {
		return err
	}
	defer f.Close()
	target, err := w.create(t.Endpoint, map[string]string{"Upload-Length": number(t.Size)})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	sums := make(chan string)
	if t.SHA1 {
		group.Go(func() error { return addUp(ctx, t, sums) })
	}
	group.Go(func() error {
		for offset := int64(0); offset < t.Size; offset += t.Chunk {
			header := map[string]string{}
			if t.SHA1 {
				select {
				case header["Upload-Checksum"] = <-sums:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := w.patch(target, f, offset, min(t.Chunk, t.Size-offset), header); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// addUp delivers the checksums of all chunks in turn.
func addUp(ctx context.Context, t task, sums chan<- string) error {
	f, err := os.Open(t.File)
	if err != nil {
		return err
	}
	defer f.Close()
	for offset := int64(0); offset < t.Size; offset += t.Chunk {
		sum, err := sumOf(f, offset, min(t.Chunk, t.Size-offset))
		if err != nil {
			return err
		}
		select {
		case sums <- sum:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sumOf is the Upload-Checksum of a range.
func sumOf(r io.ReaderAt, offset, n int64) (string, error) {
	h := sha1.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(r, offset, n), make([]byte, 256*kib)); err != nil {
		return "", err
	}
	return checksum.FormatHeader("sha1", h.Sum(nil)), nil
}

// uploadParts sends parts of a file over a connection each, and lets the server
// join them.
func uploadParts(ctx context.Context, t task) error {
	each := (t.Size + int64(t.Parts) - 1) / int64(t.Parts)
	urls := make([]string, t.Parts)
	group, partCtx := errgroup.WithContext(ctx)
	for i := range t.Parts {
		offset := int64(i) * each
		group.Go(func() (err error) {
			urls[i], err = uploadPart(partCtx, t, offset, min(each, t.Size-offset))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w, err := dial(ctx, t.Endpoint)
	if err != nil {
		return err
	}
	defer w.close()
	_, err = w.create(t.Endpoint, map[string]string{"Upload-Concat": "final;" + strings.Join(urls, " ")})
	return err
}

func uploadPart(ctx context.Context, t task, offset, n int64) (target string, err error) {
	w, err := dial(ctx, t.Endpoint)
	if err != nil {
		return "", err
	}
	defer w.close()
	f, err := os.Open(t.File)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return "", err
	}
	target, err = w.create(t.Endpoint, map[string]string{"Upload-Length": number(n), "Upload-Concat": "partial"})
	if err != nil {
		return "", err
	}
	return target, w.patch(target, f, 0, n, map[string]string{})
}
