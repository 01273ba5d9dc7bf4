package settingsdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// upgradeOriginal turns a database of the original into one of ours: a copy is
// kept beside it, the rest is one transaction. An error leaves the file as it
// was, and no copy.
func upgradeOriginal(ctx context.Context, path string, document []byte) error {
	s, problems := Original(document)
	if len(problems) > 0 {
		return fmt.Errorf("upgrade database %s: its document is not valid, nothing was changed: %w", path, problems)
	}
	kept, err := keepCopy(path)
	if err != nil {
		return fmt.Errorf("upgrade: keep a copy of %w", explain(path, err))
	}
	if err := convert(ctx, path, document, newRevision(s, "upgrade from the original")); err != nil {
		removeCopy(kept)
		return fmt.Errorf("upgrade %w", explain(path, err))
	}
	return nil
}

// convert replaces table settings by our schema. The journal mode stays that of
// the file, for changing it cannot be undone with the transaction.
func convert(ctx context.Context, path string, document []byte, first Revision) error {
	db, err := connect(ctx, path, asBuilder, 1)
	if err != nil {
		return err
	}
	err = inTx(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
		again, err := originalRow(ctx, tx, 0)
		if err != nil {
			return err
		}
		if !bytes.Equal(again, document) {
			return errors.New("another program changed it just now, try again")
		}
		if _, err := tx.ExecContext(ctx, "DROP TABLE settings"); err != nil {
			return err
		}
		return found(ctx, tx, first)
	})
	return errors.Join(err, db.Close())
}

// sidecars are what SQLite keeps beside a file and what belongs to its
// contents.
func sidecars() []string { return []string{"", "-wal", "-journal"} }

// keepCopy copies the file to PATH.original, or PATH.original.1 and so on when
// there is a copy already, and returns the name.
func keepCopy(path string) (string, error) {
	name := path + ".original"
	for i := 1; ; i++ {
		err := copyFile(path, name)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		name = path + ".original." + strconv.Itoa(i)
	}
	for _, suffix := range sidecars()[1:] {
		if err := copyFile(path+suffix, name+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			removeCopy(name)
			return "", err
		}
	}
	return name, syncDir(name)
}

func removeCopy(name string) {
	for _, suffix := range sidecars() {
		_ = os.Remove(name + suffix)
	}
}

// copyFile copies durably to a file that must not exist yet; on an error there
// is no such file of ours.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	give(target, filepath.Dir(to))
	_, err = io.Copy(target, source)
	if err == nil {
		err = target.Sync()
	}
	if err = errors.Join(err, target.Close()); err != nil {
		_ = os.Remove(to)
	}
	return err
}
