package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
)

// OpenReadOnly opens a database to read it, beside whoever uses it: nothing is upgraded
// or migrated, and the methods that change something fail. Only after a crash, while
// nobody uses it, what was written last is played back. A database that is still the
// original's is [ErrNotExist]: no node has run on it.
func OpenReadOnly(path string) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	path = resolved(path)
	if err := present(path); err != nil {
		return nil, err
	}
	s := &Store{path: path}
	err := s.openOurs(ctx, asFound)
	if unreplayed(err) {
		if lost := s.lock.acquire(path + ".lock"); lost == nil {
			err = s.openOurs(ctx, asReader)
		}
	}
	if err != nil {
		_ = s.Close()
		return nil, unreadable(path, err)
	}
	return s, nil
}

// openOurs opens the readers, and has them read, for only then they look into the file.
func (s *Store) openOurs(ctx context.Context, how string) error {
	db, err := connect(ctx, s.path, how, maxReaders)
	if err != nil {
		return err
	}
	if err := readable(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	s.reader, s.writer = db, db
	return nil
}

// readable reads a little of a database of ours, and says what another one is.
func readable(ctx context.Context, db *sql.DB) error {
	var id, version int
	if err := db.QueryRowContext(ctx, "SELECT * FROM pragma_application_id, pragma_user_version").Scan(&id, &version); err != nil {
		return err
	}
	if id == applicationID {
		return db.QueryRowContext(ctx, "SELECT count(*) FROM state").Scan(new(int))
	}
	if _, err := originalRow(ctx, db, version); err != nil {
		return err
	}
	return fmt.Errorf("%w of this program: it is still the original's", ErrNotExist)
}

// unreplayed tells whether a file cannot be read before a journal is played back.
func unreplayed(err error) bool {
	var wrong sqlite3.Error
	return errors.As(err, &wrong) && (wrong.Code == sqlite3.ErrCantOpen || wrong.Code == sqlite3.ErrReadonly)
}
