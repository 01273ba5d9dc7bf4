package settingsdb

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
)

// The files are applied in the order of their names; user_version counts how
// many a database has seen. A released file never changes.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks a database as ours ("vdig"), in the SQLite header.
const applicationID = 0x76646967

// migrations returns the statements of all migrations in their order.
func migrations() ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	steps := make([]string, 0, len(names))
	for _, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

// schemaVersion is the user_version of a database that has all migrations.
func schemaVersion() (int, error) {
	steps, err := migrations()
	return len(steps), err
}

// migrate brings the schema from version up to date within tx.
func migrate(ctx context.Context, tx *sql.Tx, version int) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	for i := version; i < len(steps); i++ {
		if _, err := tx.ExecContext(ctx, steps[i]); err != nil {
			return fmt.Errorf("migration %d: %w", i+1, err)
		}
	}
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(steps))
	_, err = tx.ExecContext(ctx, mark)
	return err
}
