package settingsdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// lock is the running node's claim on a database: a file lock on PATH.lock,
// which the kernel drops when the process ends in any way. The database file
// itself cannot carry it, since SQLite's locks are there. The zero value is
// not held.
type lock struct {
	mu   sync.Mutex
	file *os.File
}

// acquire takes the lock or returns ErrLocked at once.
func (l *lock) acquire(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		return nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrLocked
		}
		return fmt.Errorf("lock %s: %w", path, err)
	}
	give(file, filepath.Dir(path))
	l.file = file
	return nil
}

// release gives the lock back. The file stays: removing it would let two
// processes hold locks on two files of one name.
func (l *lock) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
