package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// KeptRow is a connection whose session may outlive the process.
type KeptRow struct {
	ID        string
	Value     []byte // nil, where it is written: forget it
	ExpiresAt time.Time
}

// Keep writes rows, or forgets them, all or none.
func (s *Store) Keep(ctx context.Context, rows []KeptRow) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, r := range rows {
			if err := keep(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func keep(ctx context.Context, tx *sql.Tx, r KeptRow) error {
	if r.Value == nil {
		_, err := tx.ExecContext(ctx, "DELETE FROM kept WHERE id = ?", r.ID)
		return err
	}
	var expires int64
	if !r.ExpiresAt.IsZero() {
		expires = r.ExpiresAt.UnixMicro()
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO kept (id, value, expires_at) VALUES (?, ?, ?) "+
		"ON CONFLICT (id) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at", r.ID, r.Value, expires)
	return err
}

// Kept returns the rows that have not expired and deletes the others.
func (s *Store) Kept(ctx context.Context, now time.Time) (rows []KeptRow, err error) {
	err = s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM kept WHERE expires_at BETWEEN 1 AND ?", now.UnixMicro()); err != nil {
			return err
		}
		found, err := tx.QueryContext(ctx, "SELECT id, value, expires_at FROM kept ORDER BY id")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, found.Close()) }()
		for found.Next() {
			var r KeptRow
			var expires int64
			if err := found.Scan(&r.ID, &r.Value, &expires); err != nil {
				return err
			}
			if expires > 0 {
				r.ExpiresAt = time.UnixMicro(expires)
			}
			rows = append(rows, r)
		}
		return found.Err()
	})
	return rows, err
}

// ForgetKept deletes all rows.
func (s *Store) ForgetKept(ctx context.Context) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM kept")
		return err
	})
}
