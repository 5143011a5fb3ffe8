package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// notifier reports changes in the directories that were added to it.
type notifier struct {
	dir     string
	watcher *fsnotify.Watcher // nil if there are no notifications
	log     func(format string, args ...any)
	warned  bool
}

// newNotifier returns a notifier. Without notifications of the file system, which it logs,
// the notifier reports nothing.
func newNotifier(c Config) *notifier {
	n := &notifier{dir: c.Dir, log: c.logf}
	if c.ScanOnly {
		return n
	}
	var err error
	if n.watcher, err = fsnotify.NewWatcher(); err != nil {
		n.warn(err)
	}
	return n
}

func (n *notifier) close() {
	if n.watcher != nil {
		n.watcher.Close()
	}
}

// add adds a directory. One that was added before is only looked up again, which also
// finds a directory that replaced another one.
func (n *notifier) add(name string) {
	if n.watcher == nil {
		return
	}
	if err := n.watcher.Add(filepath.Join(n.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.warn(err)
	}
}

// warn logs the first failure of the notifications.
func (n *notifier) warn(err error) {
	if !n.warned {
		n.warned = true
		n.log("warning: no notifications of the file system for some directories, whose files are found by scans: %v", err)
	}
}

// events returns the channel of notifications, nil without any.
func (n *notifier) events() <-chan fsnotify.Event {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Events
}

// errors returns the channel of failures, nil without any.
func (n *notifier) errors() <-chan error {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Errors
}

// name returns the path of an event relative to the directory, and false for the directory
// itself.
func (n *notifier) name(e fsnotify.Event) (string, bool) {
	name, err := filepath.Rel(n.dir, e.Name)
	return name, err == nil && name != "."
}

// temporaries remembers files with temporary names, so that one that gets its final name
// does not have to settle.
type temporaries struct {
	named   map[string]identity
	renamed map[identity]time.Time // when files lost their temporary names
}

// maxTemporaries bounds the memory for temporary names. Beyond, files settle.
const maxTemporaries = 10_000

// renameTime is the maximum time between the notifications of the old and the new name. After
// it, the identity may be that of another file: one that left the spool and was removed has
// made room for it.
const renameTime = time.Second

func newTemporaries() *temporaries {
	return &temporaries{map[string]identity{}, map[identity]time.Time{}}
}

// saw records a file with a temporary name.
func (t *temporaries) saw(name string, id identity) {
	if len(t.named) >= maxTemporaries { // of directories that left the spool
		clear(t.named)
	}
	if id != (identity{}) {
		t.named[name] = id
	}
	delete(t.renamed, id)
}

// lost records that a temporary name is gone.
func (t *temporaries) lost(name string, renamed bool) {
	id, ok := t.named[name]
	delete(t.named, name)
	if !ok || !renamed {
		return
	}
	if len(t.renamed) >= maxTemporaries { // files that left the spool
		clear(t.renamed)
	}
	t.renamed[id] = time.Now()
}

// gained reports whether a file with a new name had a temporary one just before.
func (t *temporaries) gained(f File) bool {
	at, ok := t.renamed[f.id]
	delete(t.renamed, f.id)
	return ok && time.Since(at) < renameTime
}

// logf formats a text for the operator.
func (c Config) logf(format string, args ...any) {
	if c.Hooks.OnLog != nil {
		c.Hooks.OnLog(fmt.Sprintf(format, args...))
	}
}
