package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// disposal decides what happens to files that need no further attempt.
type disposal struct {
	*mover
	moveTo   string // "" if uploaded files are not moved
	delete   bool
	failedTo string
}

// uploaded disposes of an uploaded file. It returns the path to which it was moved.
func (d *disposal) uploaded(ctx context.Context, f File) (string, error) {
	switch {
	case d.delete:
		return "", d.remove(f)
	case d.moveTo != "":
		return d.move(ctx, f, d.moveTo)
	}
	return "", nil
}

// reason is why a file is set aside.
type reason struct {
	at       time.Time
	attempts int
	url      string
	err      error
}

func (r reason) String() string {
	text := fmt.Sprintf("time: %s\nattempts: %d\n", r.at.Format(time.RFC3339), r.attempts)
	if r.url != "" {
		text += "url: " + r.url + "\n"
	}
	return text + "error: " + r.err.Error() + "\n"
}

// setAside moves a file to the directory for failed files, with its reason beside it.
func (d *disposal) setAside(ctx context.Context, f File, why reason) (string, error) {
	path, err := d.move(ctx, f, d.failedTo)
	if err != nil {
		return "", err
	}
	return path, writeReason(path, why)
}

// writeReason writes a new file beside path.
func writeReason(path string, why reason) error {
	for n := 0; ; n++ {
		// The URL may be enough to write to the upload, so that the file is private.
		f, err := os.OpenFile(numbered(path+".reason.txt", n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString("file: " + filepath.Base(path) + "\n" + why.String())
		return errors.Join(err, f.Close())
	}
}
