package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mattn/go-sqlite3"
)

// contents is what a look at a file, without changing it, has found.
type contents struct {
	// version is the user_version of a database of ours.
	version int
	// original is the document of an original database, nil in one of ours.
	original []byte
}

// inspect finds out what the file is. Whatever is not ours, and not an
// original database either, is an error and stays as it is, byte for byte.
func inspect(ctx context.Context, path string) (contents, error) {
	if err := present(path); err != nil {
		return contents{}, err
	}
	found, err := look(ctx, path, asFound)
	if needsWriting(err) {
		// A crash left a journal that has to be played back first.
		found, err = look(ctx, path, asBuilder)
	}
	return found, err
}

// present refuses a missing, empty or special file. The file is not opened
// for that: closing it would drop the locks that this process has on it.
func present(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("database %s: %w: %w", path, ErrNotExist, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("database %s: %w", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("database %s: %w: it is not a regular file", path, ErrForeign)
	case info.Size() == 0:
		return fmt.Errorf("database %s: %w: the file is empty", path, ErrNotExist)
	}
	return nil
}

func needsWriting(err error) bool {
	var wrong sqlite3.Error
	return errors.As(err, &wrong) && (wrong.ExtendedCode == sqlite3.ErrReadonlyRollback ||
		wrong.ExtendedCode == sqlite3.ErrReadonlyRecovery)
}

func look(ctx context.Context, path, how string) (contents, error) {
	db, err := connect(ctx, path, how, 1)
	if err != nil {
		return contents{}, unreadable(path, err)
	}
	defer func() { _ = db.Close() }()
	var id, version int
	if err := db.QueryRowContext(ctx, "SELECT * FROM pragma_application_id, pragma_user_version").Scan(&id, &version); err != nil {
		return contents{}, unreadable(path, err)
	}
	if id == applicationID {
		return contents{version: version}, checkOurs(ctx, db, path, version)
	}
	document, err := originalRow(ctx, db, version)
	if err != nil {
		return contents{}, unreadable(path, err)
	}
	return contents{original: document}, nil
}

// unreadable explains err; a file that SQLite does not know is foreign rather
// than damaged.
func unreadable(path string, err error) error {
	var wrong sqlite3.Error
	if errors.As(err, &wrong) && wrong.Code == sqlite3.ErrNotADB {
		return fmt.Errorf("database %s: %w; it was left as it is: name another file or move it away (%w)",
			path, ErrForeign, err)
	}
	return explain(path, err)
}

// checkOurs verifies the small tables. The audit table is left out: checking
// it would take seconds, and its loss would not hurt the settings.
func checkOurs(ctx context.Context, db *sql.DB, path string, version int) error {
	known, err := schemaVersion()
	if err != nil {
		return err
	}
	if version > known {
		return fmt.Errorf("database %s: %w (schema %d, this version knows %d): upgrade the program",
			path, ErrNewer, version, known)
	}
	for _, table := range []string{"settings", "history", "state"} {
		var verdict string
		err := db.QueryRowContext(ctx, "SELECT * FROM pragma_quick_check(?)", table).Scan(&verdict)
		if err == nil && verdict != "ok" {
			return fmt.Errorf("database %s: %w; %s (table %s: %s)", path, ErrCorrupt, advice(ErrCorrupt), table, verdict)
		}
		if err != nil {
			return explain(path, err)
		}
	}
	return nil
}
