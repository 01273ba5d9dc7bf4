package settingsdb

import (
	"context"
	"database/sql"
	"errors"
)

// SetState keeps a small value of this node under a key, such as that it
// drains; it survives a restart and is no part of the document.
func (s *Store) SetState(ctx context.Context, key, value string) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			"INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
		return err
	})
}

// State returns what [Store.SetState] kept under key, "" if nothing was.
func (s *Store) State(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var value string
	err := s.reader.QueryRowContext(ctx, "SELECT value FROM state WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, explain(s.path, err)
}
