package settingsdb

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// What callers branch on; every error of a [Store] that has one of these causes
// wraps it and names the file.
var (
	// ErrNotExist: there is no database yet, or only an empty file. [Create]
	// makes one.
	ErrNotExist = errors.New("there is no settings database")
	// ErrExist: [Create] found a database; it is never overwritten.
	ErrExist = errors.New("the file exists already")
	// ErrForeign: the file is no settings database; it is left alone.
	ErrForeign = errors.New("the file is not a settings database")
	// ErrCorrupt: the file is damaged; it is left alone.
	ErrCorrupt = errors.New("the file is damaged")
	// ErrNewer: the database was written by a later version.
	ErrNewer = errors.New("the database belongs to a newer version")
	// ErrLocked: a node is running on the database.
	ErrLocked = errors.New("a node is running on this database; use the API or stop it first")
	// ErrDiskFull: nothing was changed because there is no space.
	ErrDiskFull = errors.New("the disk is full")
	// ErrReadOnly: nothing was changed because the file cannot be written.
	ErrReadOnly = errors.New("the file cannot be written")
	// ErrBusy: another program held the database for too long.
	ErrBusy = errors.New("another program holds the database")
	// ErrNoRevision: there is no revision of this number.
	ErrNoRevision = errors.New("no such revision")
	// ErrNotPending: the revision was decided upon before, or a later one is
	// in force.
	ErrNotPending = errors.New("the revision is not pending")
)

// advice is what the one who reads the error can do, by cause.
func advice(cause error) string {
	switch {
	case errors.Is(cause, ErrDiskFull):
		return "free some space and try again, nothing was changed"
	case errors.Is(cause, ErrReadOnly):
		return "check its owner, its mode and the mount, nothing was changed"
	case errors.Is(cause, ErrCorrupt):
		return "it was left as it is: restore it from a backup, or move it away and set the document anew"
	}
	return "close the other program and try again"
}

// explain turns an error of SQLite into one that names the file, the cause and
// the way out.
func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	if cause := causeOf(path, err); cause != nil {
		return fmt.Errorf("database %s: %w; %s (%w)", path, cause, advice(cause), err)
	}
	return fmt.Errorf("database %s: %w", path, err)
}

func causeOf(path string, err error) error {
	var wrong sqlite3.Error
	if !errors.As(err, &wrong) {
		return causeOfErrno(err)
	}
	if cause := causeOfErrno(wrong.SystemErrno); cause != nil {
		return cause
	}
	switch wrong.Code {
	case sqlite3.ErrFull:
		return ErrDiskFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return ErrReadOnly
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return ErrCorrupt
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return ErrBusy
	case sqlite3.ErrCantOpen:
		// A file that cannot be made in a folder that cannot be written.
		return causeOfErrno(unix.Access(filepath.Dir(path), unix.W_OK))
	}
	return nil
}

func causeOfErrno(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ErrDiskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ErrReadOnly
	}
	return nil
}
