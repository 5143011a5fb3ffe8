//go:build unix

package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errNoLocation is returned when a situation needs an upload URL that the server did not return.
var errNoLocation = errors.New("the response to the creation had no Location, so the upload URL is unknown")

// requests are the situations of single commands after an upload.
func requests() []Situation {
	return []Situation{
		{Name: "info of a complete upload", run: infoOfComplete},
		{Name: "info of an unknown upload", run: infoOfUnknown},
		{Name: "the same file again", run: sameFileAgain},
		{Name: "the same file again, checked", run: sameFileChecked},
		{Name: "terminate", run: terminateOnce},
		{Name: "terminate again", run: terminateTwice},
		{Name: "doctor", run: doctor},
	}
}

// info is the output of tusup info.
type info struct {
	Offset   int64
	Length   int64
	Complete bool
	Metadata map[string]string
	Expires  *time.Time
}

// info returns the state of an upload.
func (s *scene) info(ctx context.Context, uploadURL string) (info, error) {
	got, err := s.command(ctx, nil, slices.Concat([]string{"info", "--json"}, s.serverFlags(), []string{uploadURL})...)
	if err != nil {
		return info{}, err
	}
	var i info
	if got.code != 0 {
		return i, fmt.Errorf("tusup info exited with %d: %s", got.code, lastLine(got.stderr+failure(got.stdout)))
	}
	return i, json.Unmarshal([]byte(got.stdout), &i)
}

// failure returns the message of the error object that a command printed, or "".
func failure(stdout string) string {
	var e struct{ Error struct{ Message string } }
	_ = json.Unmarshal([]byte(stdout), &e)
	return e.Error.Message
}

// unfinished is an upload in the resume database.
type unfinished struct {
	URL       string
	Expires   *time.Time
	Completed *time.Time
}

// unfinished returns the upload in the resume database that was interrupted.
func (s *scene) unfinished(ctx context.Context) (unfinished, error) {
	got, err := s.command(ctx, nil, "list", "--json")
	if err != nil {
		return unfinished{}, err
	}
	decoder := json.NewDecoder(strings.NewReader(got.stdout))
	for {
		var u unfinished
		if err := decoder.Decode(&u); err != nil {
			return u, fmt.Errorf("tusup list printed no unfinished upload: %w", err)
		}
		if u.Completed == nil && u.URL != "" {
			return u, nil
		}
	}
}

// newUpload uploads a file, whose content is not the subject of the situation.
func (s *scene) newUpload(ctx context.Context) (source, result, error) {
	f, err := s.file(1000)
	if err != nil {
		return f, result{}, err
	}
	r, err := s.upload(ctx, f)
	if err == nil && r.URL == "" {
		err = errNoLocation
	}
	return f, r, err
}

func infoOfComplete(ctx context.Context, s *scene) error {
	f, r, err := s.newUpload(ctx)
	if err != nil {
		return err
	}
	i, err := s.info(ctx, r.URL)
	if err == nil && (i.Offset != f.size || !i.Complete) {
		return fmt.Errorf("tusup info printed %+v", i)
	}
	return err
}

func infoOfUnknown(ctx context.Context, s *scene) error {
	_, r, err := s.newUpload(ctx)
	if err != nil {
		return err
	}
	i, err := s.info(ctx, sibling(r.URL))
	if err == nil {
		return fmt.Errorf("tusup info printed %+v for an upload that does not exist", i)
	}
	return nil
}

// sibling returns a URL like that of an existing upload, but of none: its last path element
// begins with another letter.
func sibling(uploadURL string) string {
	at := strings.LastIndexByte(uploadURL, '/') + 1
	first := "0"
	if uploadURL[at:at+1] == first {
		first = "1"
	}
	return uploadURL[:at] + first + uploadURL[at+1:]
}

func sameFileAgain(ctx context.Context, s *scene) error {
	f, first, err := s.newUpload(ctx)
	if err != nil {
		return err
	}
	again, err := s.upload(ctx, f)
	if err == nil && (!again.AlreadyUploaded || again.URL != first.URL || again.BytesSent != 0) {
		return fmt.Errorf("the second run sent %d bytes", again.BytesSent)
	}
	return err
}

// sameFileChecked uploads a file twice. The second run requests the first upload.
func sameFileChecked(ctx context.Context, s *scene) error {
	f, _, err := s.newUpload(ctx)
	if err != nil {
		return err
	}
	again, err := s.upload(ctx, f, "--check-uploaded")
	if err == nil && !again.AlreadyUploaded {
		return errors.New("the server no longer shows the complete upload: the second run uploaded it again")
	}
	return err
}

func terminateOnce(ctx context.Context, s *scene) error {
	_, err := s.terminate(ctx)
	return err
}

// terminate uploads a file and deletes the upload.
func (s *scene) terminate(ctx context.Context) (uploadURL string, err error) {
	if err := s.requires("termination"); err != nil {
		return "", err
	}
	_, r, err := s.newUpload(ctx)
	if err != nil {
		return "", err
	}
	got, err := s.command(ctx, nil, slices.Concat([]string{"terminate"}, s.serverFlags(), []string{r.URL})...)
	if err != nil {
		return "", err
	}
	if got.code != 0 {
		return "", fmt.Errorf("tusup terminate exited with %d: %s", got.code, lastLine(got.stderr))
	}
	if i, err := s.info(ctx, r.URL); err == nil {
		return "", fmt.Errorf("tusup info printed %+v for a deleted upload", i)
	}
	if content, err := s.Content(ctx, r.URL); err == nil {
		return "", errors.Join(errors.New("the server still holds the content of a deleted upload"), content.Close())
	}
	return r.URL, nil
}

func terminateTwice(ctx context.Context, s *scene) error {
	uploadURL, err := s.terminate(ctx)
	if err != nil {
		return err
	}
	got, err := s.command(ctx, nil, slices.Concat([]string{"terminate"}, s.serverFlags(), []string{uploadURL})...)
	if err == nil && got.code != 0 {
		return fmt.Errorf("the second tusup terminate exited with %d: %s", got.code, lastLine(got.stderr))
	}
	return err
}

// doctor expects that tusup doctor finds uploads to resume, if only with the flags that it
// recommends.
func doctor(ctx context.Context, s *scene) error {
	args := slices.Concat([]string{"doctor"}, s.serverFlags())
	for at, flag := range s.Flags {
		if flag == "--metadata" {
			args = append(args, flag, s.Flags[at+1])
		}
	}
	if s.ChunkSize > 0 {
		args = append(args, "--chunk-size", fmt.Sprint(s.ChunkSize), "--size", fmt.Sprint(2*s.ChunkSize))
	}
	got, err := s.command(ctx, nil, args...)
	if err == nil && got.code != 0 {
		return fmt.Errorf("tusup doctor exited with %d: %s", got.code, lastLine(got.stdout))
	}
	return err
}
