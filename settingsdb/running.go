package settingsdb

import (
	"context"
	"database/sql"
	"errors"
)

// Lock claims the database for a running node, or for a change while no node
// runs, until [Store.Close]; a second claim by another process or store gives
// [ErrLocked] at once. Whoever holds it is alone, so a revision that a crash
// left pending is marked rejected here.
func (s *Store) Lock() error {
	if err := s.lock.acquire(s.path + ".lock"); err != nil {
		return explain(s.path, err)
	}
	return s.change(context.Background(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE history SET state = ?, reason = ? WHERE state = ?",
			StateRejected, "the node stopped before it was applied", StatePending)
		return err
	})
}

// Locked reports whether somebody else holds the lock at this moment. A change
// that must not race with a starting node takes [Store.Lock] instead.
func (s *Store) Locked() (bool, error) {
	var probe lock
	s.lock.mu.Lock()
	mine := s.lock.file != nil
	s.lock.mu.Unlock()
	if mine {
		return false, nil
	}
	err := probe.acquire(s.path + ".lock")
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, explain(s.path, err)
	}
	return false, probe.release()
}
