package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Create makes a database that holds s as revision 1, applied, and opens it.
// The folder is made if need be (mode 0700), the file has mode 0600. A file
// that exists is never overwritten ([ErrExist]) unless it is empty. The file
// appears complete or not at all.
func Create(path string, s Settings, author string) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	path = resolved(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create %w", explain(path, err))
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	if err := build(ctx, path, newRevision(s, author)); err != nil {
		return nil, fmt.Errorf("create %w", explain(path, err))
	}
	return open(ctx, path)
}

// vacant refuses a path that is taken, also by the rest of a database: SQLite
// would play a foreign journal into the new file.
func vacant(path string) error {
	switch err := present(path); {
	case err == nil:
		return fmt.Errorf("database %s: %w", path, ErrExist)
	case !errors.Is(err, ErrNotExist):
		return err
	}
	for _, rest := range []string{path + "-wal", path + "-journal"} {
		if info, err := os.Stat(rest); err == nil && info.Size() > 0 {
			return fmt.Errorf("database %s: %w: %s is left of another database, move it away", path, ErrExist, rest)
		}
	}
	return nil
}

// build makes the database under a temporary name and then puts it in place.
func build(ctx context.Context, path string, first Revision) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	give(file, filepath.Dir(path))
	draft := file.Name()
	defer removeDraft(draft)
	if err := file.Close(); err != nil {
		return err
	}
	if err := fill(ctx, draft, first); err != nil {
		return err
	}
	return place(draft, path)
}

func removeDraft(draft string) {
	for _, name := range []string{draft, draft + "-journal"} {
		_ = os.Remove(name)
	}
}

// fill writes schema and first revision, with a rollback journal, since that
// leaves one file when the connection is closed.
func fill(ctx context.Context, path string, first Revision) error {
	db, err := connect(ctx, path, asBuilder, 1)
	if err != nil {
		return err
	}
	err = inTx(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
		return found(ctx, tx, first)
	})
	return errors.Join(err, db.Close())
}

// found writes schema and first revision into an empty database.
func found(ctx context.Context, tx *sql.Tx, first Revision) error {
	if err := migrate(ctx, tx, 0); err != nil {
		return err
	}
	first.Number, first.State = 1, StateApplied
	if err := insertRevision(ctx, tx, first); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO settings (document) VALUES (?)", string(first.Settings.JSON()))
	return err
}

// place gives the draft its name. A link never replaces a file that somebody
// else made meanwhile; only an empty one is replaced.
func place(draft, path string) error {
	err := os.Link(draft, path)
	if errors.Is(err, os.ErrExist) && errors.Is(present(path), ErrNotExist) {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return err
	}
	return syncDir(path)
}
