package settingsdb

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
)

// Store is an open settings database. It is safe for concurrent use; all
// writing goes through one connection, one transaction after the other.
type Store struct {
	path   string
	writer *sql.DB
	reader *sql.DB
	lock   lock
}

// maxReaders bounds the connections that read beside the writer.
const maxReaders = 4

// Open opens an existing database and brings its schema up to date. A database
// of the original is upgraded in place, with a copy kept beside it. The errors
// to branch on are [ErrNotExist], [ErrForeign], [ErrCorrupt] and [ErrNewer]; a
// file that is refused is left as it is. The caller closes the store.
func Open(path string) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	path = resolved(path)
	found, err := inspect(ctx, path)
	if err != nil {
		return nil, err
	}
	if found.original != nil {
		if err := upgradeOriginal(ctx, path, found.original); err != nil {
			return nil, err
		}
	}
	return open(ctx, path)
}

// resolved returns the absolute path behind symbolic links, so that the lock
// and the files beside it are the same whatever name was used.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}

func open(ctx context.Context, path string) (*Store, error) {
	writer, err := connect(ctx, path, asWriter, 1)
	if err != nil {
		return nil, explain(path, err)
	}
	s := &Store{path: path, writer: writer}
	if err := s.prepare(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// prepare migrates, opens the readers and makes sure that there is a document.
func (s *Store) prepare(ctx context.Context) error {
	err := inTx(ctx, s.writer, func(ctx context.Context, tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if known, err := schemaVersion(); err != nil || version == known {
			return err
		}
		return migrate(ctx, tx, version)
	})
	if err != nil {
		return explain(s.path, err)
	}
	if s.reader, err = connect(ctx, s.path, asReader, maxReaders); err != nil {
		return explain(s.path, err)
	}
	_, err = s.Current(ctx)
	return err
}

// Path returns the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// Close releases the lock, if held, and closes the database. Nothing else may
// be under way on the store.
func (s *Store) Close() error {
	var problems []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			problems = append(problems, db.Close())
		}
	}
	problems = append(problems, s.lock.release())
	for _, err := range problems {
		if err != nil {
			return fmt.Errorf("close database %s: %w", s.path, err)
		}
	}
	return nil
}

// change runs do in one transaction on the writing connection.
func (s *Store) change(ctx context.Context, do func(ctx context.Context, tx *sql.Tx) error) error {
	return explain(s.path, inTx(ctx, s.writer, do))
}

// syncDir makes the entries of the folder of path durable.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}
