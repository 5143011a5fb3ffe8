package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
)

// uploadBaseline uploads with as little work as possible.
func uploadBaseline(ctx context.Context, t task) error {
	switch {
	case t.Parts > 1:
		return uploadParts(ctx, t)
	case t.Chunk > 0:
		return uploadChunks(ctx, t)
	}
	c, done := newPlainClient(t, fileBody)
	defer done()
	if t.Concurrency > 0 {
		return eachFile(ctx, t, c.createWith)
	}
	return c.whole(ctx, t.File)
}

// wire sends hand-written HTTP on one connection.
type wire struct {
	tcp       *net.TCPConn
	responses *bufio.Reader
	host      string
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

// exchange sends a request with the next n bytes of f, using sendfile. f may be
// nil.
func (w *wire) exchange(method, uploadURL string, f *os.File, n int64, header map[string]string) (*http.Response, error) {
	u, err := url.Parse(uploadURL)
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
	resp, err := http.ReadResponse(w.responses, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	return checkResponse(method, resp)
}

// create creates an upload and returns its URL.
func (w *wire) create(endpoint string, header map[string]string) (string, error) {
	resp, err := w.exchange(http.MethodPost, endpoint, nil, 0, header)
	if err != nil {
		return "", err
	}
	return resp.Header.Get("Location"), nil
}

// patch sends the next n bytes of f at an offset of the upload.
func (w *wire) patch(uploadURL string, f *os.File, offset, n int64, header map[string]string) error {
	header["Upload-Offset"] = number(offset)
	resp, err := w.exchange(http.MethodPatch, uploadURL, f, n, header)
	if err != nil {
		return err
	}
	_, err = acknowledged(resp, offset+n)
	return err
}

// uploadChunks sends a file in chunks over one connection. It computes the checksum
// of the next chunk while a chunk is sent.
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
	uploadURL, err := w.create(t.Endpoint, map[string]string{"Upload-Length": number(t.Size)})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	sums := make(chan string)
	if t.SHA1 {
		group.Go(func() error { return hashChunks(ctx, t, sums) })
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
			if err := w.patch(uploadURL, f, offset, min(t.Chunk, t.Size-offset), header); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// hashChunks sends the checksums of all chunks to sums.
func hashChunks(ctx context.Context, t task, sums chan<- string) error {
	f, err := os.Open(t.File)
	if err != nil {
		return err
	}
	defer f.Close()
	for offset := int64(0); offset < t.Size; offset += t.Chunk {
		sum, err := checksumOf(f, offset, min(t.Chunk, t.Size-offset))
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

// checksumOf returns the Upload-Checksum of a range.
func checksumOf(r io.ReaderAt, offset, n int64) (string, error) {
	h := sha1.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(r, offset, n), make([]byte, 256*kib)); err != nil {
		return "", err
	}
	return sha1Header(h.Sum(nil)), nil
}

// sha1Header returns the Upload-Checksum of a SHA-1.
func sha1Header(sum []byte) string { return "sha1 " + base64.StdEncoding.EncodeToString(sum) }

// uploadParts sends parts of a file over separate connections and concatenates
// them on the server.
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

func uploadPart(ctx context.Context, t task, offset, n int64) (uploadURL string, err error) {
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
	uploadURL, err = w.create(t.Endpoint, map[string]string{"Upload-Length": number(n), "Upload-Concat": "partial"})
	if err != nil {
		return "", err
	}
	return uploadURL, w.patch(uploadURL, f, 0, n, map[string]string{})
}
