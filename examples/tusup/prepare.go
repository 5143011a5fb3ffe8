package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gabriel-vasile/mimetype"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/digest"
	"github.com/seed-175555ba/tus-go/tus"
)

// prepare returns the source of f. It sets the metadata and the resume key in opts, and the
// digest in f.
func (u *uploadCommand) prepare(ctx context.Context, f *file, opts *tus.UploadOptions, shared bool, out *output) (tus.Source, error) {
	if f.stdin {
		return u.prepareInput(ctx, opts, out)
	}
	key := u.keyMetadata(*f, opts.Metadata)
	if u.wantsDigest() {
		d, err := fileDigest(ctx, *f, out)
		if err != nil {
			return nil, changedError(err)
		}
		f.digest = d
		if u.UploadURL == "" {
			key["sha256"] = d.Hex()
		}
	}
	if u.UploadURL == "" {
		opts.ResumeKey = u.resumeKey(*f, key, shared)
		opts.Metadata = u.fileMetadata(*f, key)
	}
	return tus.File(f.path), nil
}

// silence is how long a file is read without a line about it.
const silence = 2 * time.Second

// fileDigest reads a file and returns its digest.
func fileDigest(ctx context.Context, f file, out *output) (*digest.File, error) {
	notice := time.AfterFunc(silence, func() {
		out.logf("%s: computing the sha256 digest of %s before the upload", f.name(), bytesText(f.size))
	})
	defer notice.Stop()
	return digest.OfFile(ctx, f.path)
}

// keyMetadata returns the metadata that are part of the resume key: given, and the name of
// --relative-names.
func (n *naming) keyMetadata(f file, given tus.Metadata) tus.Metadata {
	key := orEmpty(maps.Clone(given))
	if _, set := key["filename"]; !set && n.RelativeNames && f.relative != "" {
		key["filename"] = filepath.ToSlash(f.relative)
	}
	return key
}

// fileMetadata returns the metadata of a file: given, and the name and type if given has
// none.
func (t *transfer) fileMetadata(f file, given tus.Metadata) tus.Metadata {
	m := maps.Clone(given)
	if _, set := m["filename"]; !set {
		m["filename"] = filepath.Base(f.path)
	}
	if _, set := m["filetype"]; !set && !t.NoFiletype && f.size != 0 {
		if detected, err := mimetype.DetectFile(f.path); err == nil { // the upload reports the error
			setFiletype(m, detected)
		}
	}
	return m
}

// resumeKey returns the resume key of a file. It has the metadata that the user chose, but
// not the detected type: another version may detect another one. A file that is
// fingerprinted by its content resumes after it was renamed. With a resume database that
// machines share, a path is not the same on all of them, but the name below the argument is.
func (t *transfer) resumeKey(f file, given tus.Metadata, shared bool) string {
	var b strings.Builder
	b.WriteString("tusup")
	for _, name := range slices.Sorted(maps.Keys(given)) {
		b.WriteString(" " + strconv.Quote(name) + "=" + strconv.Quote(given[name]))
	}
	name := resolvedPath(f.path)
	if shared {
		name = filepath.ToSlash(cmp.Or(f.relative, filepath.Base(f.path)))
	}
	if t.Fingerprint != "content" {
		b.WriteString(" " + strconv.Quote(name))
	}
	return b.String()
}

// resolvedPath returns the absolute path of a file with links resolved: a link and its file
// are one source.
func resolvedPath(path string) string {
	// Abs removes .. with the element before it, which must be resolved until then.
	for _, step := range []func(string) (string, error){filepath.EvalSymlinks, filepath.Abs, filepath.EvalSymlinks} {
		if next, err := step(path); err == nil {
			path = next
		}
	}
	return path
}

// prepareInput returns the source of standard input.
func (u *uploadCommand) prepareInput(ctx context.Context, opts *tus.UploadOptions, out *output) (tus.Source, error) {
	input := &standardInput{reader: out.stdin, file: out.stdin}
	if _, set := opts.Metadata["filetype"]; !set && !u.NoFiletype && u.UploadURL == "" {
		head, err := readInput(ctx, out.stdin, input.peek)
		if err != nil {
			return nil, err
		}
		opts.Metadata = orEmpty(maps.Clone(opts.Metadata))
		setFiletype(opts.Metadata, mimetype.Detect(head))
	}
	if u.wantsDigest() {
		opts.Digest = "sha256"
	}
	return tus.Reader(input), nil
}

// setFiletype sets the metadata filetype, unless the type is unknown.
func setFiletype(m tus.Metadata, detected *mimetype.MIME) {
	kind, params, err := mime.ParseMediaType(detected.String())
	if err != nil || kind == "application/octet-stream" {
		return
	}
	if charset := params["charset"]; charset != "" {
		kind += "; charset=" + charset
	}
	m["filetype"] = kind
}

// headLength is the number of bytes from which the type of standard input is detected, as
// many as of a file.
const headLength = 3072

// standardInput reads standard input, whose first bytes may have been read before.
type standardInput struct {
	reader io.Reader
	file   *os.File
}

// peek reads the first bytes, which Read returns again.
func (i *standardInput) peek(r io.Reader) ([]byte, error) {
	head := make([]byte, headLength)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	rest := io.Reader(i.file)
	if err != nil {
		rest = endOf{err} // a terminal would have to be ended twice
	}
	i.reader = io.MultiReader(bytes.NewReader(head), rest)
	return head, nil
}

// Read implements io.Reader.
func (i *standardInput) Read(p []byte) (int, error) { return i.reader.Read(p) }

// SetReadDeadline interrupts a Read.
func (i *standardInput) SetReadDeadline(t time.Time) error { return i.file.SetReadDeadline(t) }

// endOf is a reader that returns an error.
type endOf struct{ err error }

func (e endOf) Read([]byte) (int, error) { return 0, e.err }

// brokenSource is the source of a file that could not be prepared.
type brokenSource struct{ err error }

func (b brokenSource) Stat(context.Context) (tus.SourceInfo, error) { return tus.SourceInfo{}, b.err }

func (b brokenSource) Open(context.Context, int64) (io.ReadCloser, error) { return nil, b.err }
