//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
)

func TestSyncDir_AbsentDirectoryFails(t *testing.T) {
	if err := SyncDir(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want not exist", err)
	}
}
