package settingsdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Begin writes s as a pending revision with the next number; the revision in
// force stays. With rollbackAt the revision, once applied, waits for
// [Store.Confirm] until then. The document is expected to be valid.
func (s *Store) Begin(ctx context.Context, next Settings, author string, rollbackAt *time.Time) (Revision, error) {
	r := newRevision(next, author)
	r.State, r.RollbackAt = StatePending, rollbackAt
	err := s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return appendRevision(ctx, tx, &r)
	})
	return r, err
}

// BeginAs is Begin for a revision that the nodes have agreed on: number, author
// and times are given. It takes the place of one of that number which was never in
// force.
func (s *Store) BeginAs(ctx context.Context, r Revision) error {
	r.State = StatePending
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		current, err := selectRevision(ctx, tx, newestApplied)
		if err != nil {
			return err
		}
		if r.Number <= current.Number {
			return fmt.Errorf("revision %d: %w, revision %d is in force", r.Number, ErrNotPending, current.Number)
		}
		r.Previous = current.Number
		return enterRevision(ctx, tx, r, current.Previous)
	})
}

// Next is the lowest number that no revision has had.
func (s *Store) Next(ctx context.Context) (next int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err = s.reader.QueryRowContext(ctx, "SELECT max(revision) + 1 FROM history").Scan(&next)
	return next, explain(s.path, err)
}

// Supersede notes that an applied revision gave way to one that does not follow
// it. It is no longer the one in force.
func (s *Store) Supersede(ctx context.Context, number int64, reason string) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return decide(ctx, tx, number, StateApplied, StateSuperseded, reason)
	})
}

// enterRevision inserts r, over one that was never in force, and drops what is too
// old. Whatever its age, what is in force and what it may go back to stays.
func enterRevision(ctx context.Context, tx *sql.Tx, r Revision, before int64) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM history WHERE revision = ? AND state IN (?, ?)", r.Number, StatePending, StateRejected); err != nil {
		return err
	}
	if err := insertRevision(ctx, tx, r); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM history WHERE revision <= ? AND revision NOT IN (?, ?)",
		r.Number-keptRevisions, r.Previous, before)
	return err
}

// appendRevision numbers r, names its predecessor, inserts it and drops what is
// too old.
func appendRevision(ctx context.Context, tx *sql.Tx, r *Revision) error {
	current, err := selectRevision(ctx, tx, newestApplied)
	if err != nil {
		return err
	}
	return numberRevision(ctx, tx, r, current, 0)
}

// numberRevision is appendRevision with a number of at least least.
func numberRevision(ctx context.Context, tx *sql.Tx, r *Revision, current storedRevision, least int64) error {
	r.Previous = current.Number
	if err := tx.QueryRowContext(ctx, "SELECT max(revision) + 1 FROM history").Scan(&r.Number); err != nil {
		return err
	}
	r.Number = max(r.Number, least)
	return enterRevision(ctx, tx, *r, current.Previous)
}

// MarkApplied puts a pending revision in force: its state and the settings row
// change together. A revision that is not pending, or older than the one in
// force, gives [ErrNotPending].
func (s *Store) MarkApplied(ctx context.Context, number int64) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return markApplied(ctx, tx, number)
	})
}

// RollBack puts the pending revision number, which holds the former document,
// in force and marks the revision undone as rolled back with the reason, all at
// once.
func (s *Store) RollBack(ctx context.Context, number, undone int64, reason string) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := markApplied(ctx, tx, number); err != nil {
			return err
		}
		return decide(ctx, tx, undone, StateApplied, StateRolledBack, reason)
	})
}

// MarkRejected records that a pending revision was refused, and why.
func (s *Store) MarkRejected(ctx context.Context, number int64, reason string) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return decide(ctx, tx, number, StatePending, StateRejected, reason)
	})
}

// Confirm keeps the applied revision number for good: it no longer waits to be
// rolled back. Confirming twice is no error.
func (s *Store) Confirm(ctx context.Context, number int64) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return update(ctx, tx, fmt.Errorf("revision %d: %w", number, ErrNoRevision),
			"UPDATE history SET rollback_at = NULL WHERE revision = ? AND state = ?", number, StateApplied)
	})
}

// Put makes s the revision in force in one step, for a database that no node
// runs on. A document that changes nothing keeps the revision in force.
func (s *Store) Put(ctx context.Context, next Settings, author string) (Revision, error) {
	return s.put(ctx, newRevision(next, author), 0)
}

// PutAs is Put for a document that other nodes have under a number, which it gets
// here, too, unless this database is ahead of that.
func (s *Store) PutAs(ctx context.Context, next Settings, author string, number int64) (Revision, error) {
	return s.put(ctx, newRevision(next, author), number)
}

func (s *Store) put(ctx context.Context, r Revision, least int64) (Revision, error) {
	next := r.Settings
	r.State = StateApplied
	err := s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		current, err := selectRevision(ctx, tx, newestApplied)
		if err != nil {
			return err
		}
		if bytes.Equal(next.JSON(), []byte(current.document)) && current.Number >= least {
			r, err = current.strict()
			return errors.Join(err, setRow(ctx, tx, current.document))
		}
		if err := numberRevision(ctx, tx, &r, current, least); err != nil {
			return err
		}
		return setRow(ctx, tx, string(next.JSON()))
	})
	return r, err
}

func markApplied(ctx context.Context, tx *sql.Tx, number int64) error {
	current, err := selectRevision(ctx, tx, newestApplied)
	if err != nil {
		return err
	}
	if number <= current.Number {
		return fmt.Errorf("revision %d: %w, revision %d is in force", number, ErrNotPending, current.Number)
	}
	if err := decide(ctx, tx, number, StatePending, StateApplied, ""); err != nil {
		return err
	}
	var document string
	if err := tx.QueryRowContext(ctx, "SELECT document FROM history WHERE revision = ?", number).Scan(&document); err != nil {
		return err
	}
	return setRow(ctx, tx, document)
}

// decide moves a revision from one state to another.
func decide(ctx context.Context, tx *sql.Tx, number int64, from, to, reason string) error {
	return update(ctx, tx, fmt.Errorf("revision %d: %w", number, ErrNotPending),
		"UPDATE history SET state = ?, reason = ? WHERE revision = ? AND state = ?", to, reason, number, from)
}

// update runs a statement that has to change something; missed is the error
// when it did not.
func update(ctx context.Context, tx *sql.Tx, missed error, statement string, args ...any) error {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return missed
}

// setRow makes the one row of table settings hold document, and makes it anew
// should somebody have removed it.
func setRow(ctx context.Context, tx *sql.Tx, document string) error {
	err := update(ctx, tx, sql.ErrNoRows, "UPDATE settings SET document = ?", document)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.ExecContext(ctx, "INSERT INTO settings (document) VALUES (?)", document)
	}
	return err
}
