//go:build unix

package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Situation is a row of the matrix.
type Situation struct {
	Name string
	// Large reports that 200 MB are sent, which the short version of the matrix omits.
	Large bool
	run   func(ctx context.Context, s *scene) error
}

// The sizes of sources in bytes.
const (
	small = 3_000_000
	large = 200_000_000
)

// Situations returns the rows of the matrix.
func Situations() []Situation {
	return slices.Concat(wholeUploads(), streams(), options(), requests(), interruptions(), rivals())
}

func wholeUploads() []Situation {
	return []Situation{
		{Name: "0 bytes", run: uploads(0)},
		{Name: "1 byte", run: uploads(1)},
		{Name: "3 MB", run: uploads(small)},
		{Name: "200 MB", Large: true, run: uploads(large)},
		{Name: "chunks of 1 MiB", run: inChunks(mib)},
		{Name: "chunks of 777,777 bytes", run: inChunks(777_777)},
		{Name: "parallel, parts below 5 MiB", run: inParts(small)},
		{Name: "parallel, parts above 5 MiB", run: inParts(18_000_000)},
		{Name: "200 MB in 4 parts", Large: true, run: inParts(large)},
		{Name: "several files at once", run: severalFiles},
	}
}

// uploads uploads a file of size bytes.
func uploads(size int64, flags ...string) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		f, err := s.file(size)
		if err != nil {
			return err
		}
		_, err = s.upload(ctx, f, flags...)
		return err
	}
}

func inChunks(size int64) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		if err := s.anyChunkSize(); err != nil {
			return err
		}
		return uploads(small, "--chunk-size", fmt.Sprint(size))(ctx, s)
	}
}

func (s *scene) anyChunkSize() error {
	if s.ChunkSize > 0 {
		return notApplicable{fmt.Sprintf("the server accepts only chunks of %d bytes", s.ChunkSize)}
	}
	return nil
}

func inParts(size int64) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		if err := s.requires("concatenation"); err != nil {
			return err
		}
		return uploads(size, "--parallel", "4")(ctx, s)
	}
}

// severalFiles uploads four files with one command.
func severalFiles(ctx context.Context, s *scene) error {
	args := s.uploadArgs(s.dir, "--concurrency", "4", "--include", "*-"+s.name())
	sources := map[string]source{}
	for n := range int64(4) {
		f, err := newSource(fmt.Sprintf("%s/%d-%s", s.dir, n, s.name()), 100_000+n)
		if err != nil {
			return err
		}
		sources[f.path] = f
	}
	got, err := s.command(ctx, nil, args...)
	if err != nil {
		return err
	}
	if _, err := parse(got); err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(got.stdout))
	for range len(sources) {
		var r struct{ File, URL string }
		if err := decoder.Decode(&r); err != nil {
			return err
		}
		if r.URL == "" {
			return errNoLocation
		}
		if err := s.stored(ctx, r.URL, sources[r.File]); err != nil {
			return err
		}
	}
	return nil
}

// streamChunk is the chunk size of standard input.
const streamChunk = mib

func streams() []Situation {
	return []Situation{
		{Name: "standard input, 0 bytes", run: stream(0)},
		{Name: "standard input, below one chunk", run: stream(streamChunk / 2)},
		{Name: "standard input, several chunks", run: stream(5*streamChunk/2 + 1)},
		{Name: "standard input, exactly 3 chunks", run: stream(3 * streamChunk)},
	}
}

// stream uploads standard input, with sizes for chunks of streamChunk bytes.
func stream(size int64) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		chunk := int64(streamChunk)
		if s.ChunkSize > 0 {
			size, chunk = size*s.ChunkSize/chunk, s.ChunkSize
		}
		f, err := s.file(size)
		if err != nil {
			return err
		}
		stdin, err := os.Open(f.path)
		if err != nil {
			return err
		}
		defer stdin.Close()
		args := s.uploadArgs("-", "--chunk-size", fmt.Sprint(chunk), "--metadata", "filename="+s.name())
		if s.requires("creation-defer-length") != nil {
			args = append(args, "--buffer-limit", fmt.Sprint(size+1))
		}
		got, err := s.command(ctx, stdin, args...)
		if err != nil {
			return err
		}
		_, err = s.check(ctx, got, f)
		return err
	}
}

func options() []Situation {
	return []Situation{
		{Name: "checksums, automatic", run: automaticChecksum},
		{Name: "checksums, sha1", run: sha1Checksum},
		{Name: "checksums, off", run: uploads(small, "--checksum", "off")},
		{Name: "deferred length", run: deferredLength},
		{Name: "PATCH as POST", run: patchAsPost},
		{Name: "metadata in Unicode", run: withMetadata("note", "Grüße, 世界 🎬")},
		{Name: "metadata with an empty value", run: withMetadata("empty", "")},
	}
}

func patchAsPost(ctx context.Context, s *scene) error {
	if s.Scripted {
		return notApplicable{"the script does not show whether the server supports X-HTTP-Method-Override"}
	}
	return uploads(small, "--method-override")(ctx, s)
}

func automaticChecksum(ctx context.Context, s *scene) error {
	if err := s.requires("checksum"); err != nil {
		return err
	}
	f, err := s.file(small)
	if err != nil {
		return err
	}
	r, err := s.upload(ctx, f, "--checksum", "auto")
	if err == nil && r.Checksum == "" {
		return fmt.Errorf("tusup sent no checksums; the server advertises %v", s.caps.Checksums)
	}
	return err
}

func sha1Checksum(ctx context.Context, s *scene) error {
	if err := s.requires("checksum"); err != nil {
		return err
	}
	if !slices.Contains(s.caps.Checksums, "sha1") {
		return notApplicable{fmt.Sprintf("the server supports the checksums %v", s.caps.Checksums)}
	}
	return uploads(small, "--checksum", "sha1")(ctx, s)
}

func deferredLength(ctx context.Context, s *scene) error {
	if err := s.requires("creation-defer-length"); err != nil {
		return err
	}
	return uploads(small, "--deferred-length")(ctx, s)
}

// withMetadata uploads a file with one more metadata pair, and reads it back.
func withMetadata(key, value string) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		f, err := s.file(1000)
		if err != nil {
			return err
		}
		r, err := s.upload(ctx, f, "--metadata", key+"="+value, "--metadata", "filename="+s.name())
		if err != nil {
			return err
		}
		if r.URL == "" {
			return errNoLocation
		}
		got, err := s.info(ctx, r.URL)
		if err != nil {
			return err
		}
		if read, ok := got.Metadata[key]; !ok || read != value {
			return fmt.Errorf("HEAD returned the metadata %s, without %s=%s", strconv.Quote(fmt.Sprint(got.Metadata)), key, value)
		}
		return nil
	}
}
