package settingsdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// States of a revision. The newest applied one is in force; earlier ones keep
// the state applied.
const (
	StatePending    = "pending"
	StateApplied    = "applied"
	StateRejected   = "rejected"
	StateSuperseded = "superseded"
	StateRolledBack = "rolled_back"
)

// Revision is one version of the document, tried or in force.
type Revision struct {
	// Number counts revisions from 1.
	Number   int64
	Settings Settings
	// Author is who changed it, as the caller named him.
	Author string
	// At is when it was begun, in UTC.
	At time.Time
	// State is one of the State constants.
	State string
	// Reason says why it was rejected or rolled back.
	Reason string
	// RollbackAt is when an applied revision is to be rolled back unless it is
	// confirmed; nil when it needs no confirmation.
	RollbackAt *time.Time
	// Previous is the revision that was in force before, 0 if none was.
	Previous int64
	// Edited reports that the row of table settings is not the document of
	// this revision: somebody wrote it by hand. Only [Store.Current] sets it.
	Edited bool
}

// newRevision is a revision without number and state, begun now.
func newRevision(s Settings, author string) Revision {
	return Revision{Settings: s, Author: author, At: time.Now().UTC()}
}

const revisionColumns = "revision, document, author, created_at, state, reason, rollback_at, previous"

// newestApplied selects the revision in force.
const newestApplied = "SELECT " + revisionColumns + " FROM history WHERE state = 'applied' ORDER BY revision DESC LIMIT 1"

// querier is what a transaction and a pool have in common for reading one row.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// storedRevision is a row of history as it stands there.
type storedRevision struct {
	Revision
	document string
}

func scanRevision(scan func(...any) error) (storedRevision, error) {
	var r storedRevision
	var at string
	var rollback sql.NullString
	if err := scan(&r.Number, &r.document, &r.Author, &at, &r.State, &r.Reason, &rollback, &r.Previous); err != nil {
		return r, err
	}
	var err error
	if r.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return r, fmt.Errorf("revision %d: %w", r.Number, err)
	}
	if rollback.Valid {
		when, err := time.Parse(time.RFC3339Nano, rollback.String)
		if err != nil {
			return r, fmt.Errorf("revision %d: %w", r.Number, err)
		}
		r.RollbackAt = &when
	}
	return r, nil
}

// strict decodes the document of a revision that is to be used.
func (r storedRevision) strict() (Revision, error) {
	s, problems := Merge(Default(), []byte(r.document))
	if len(problems) > 0 {
		return r.Revision, fmt.Errorf("the document of revision %d: %w", r.Number, problems)
	}
	r.Settings = s
	return r.Revision, nil
}

// lenient decodes the document of a revision that is only looked at: a key
// that this version no longer knows must not hide the whole history.
func (r storedRevision) lenient() Revision {
	s := Default()
	if err := json.Unmarshal([]byte(r.document), &s); err == nil {
		r.Settings = s
	}
	return r.Revision
}

func insertRevision(ctx context.Context, tx *sql.Tx, r Revision) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO history ("+revisionColumns+") VALUES (?,?,?,?,?,?,?,?)",
		r.Number, string(r.Settings.JSON()), r.Author, stamp(r.At), r.State, r.Reason, optionalStamp(r.RollbackAt), r.Previous)
	return err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func optionalStamp(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

// selectRevision reads one revision by a query on history.
func selectRevision(ctx context.Context, db querier, query string, args ...any) (storedRevision, error) {
	r, err := scanRevision(db.QueryRowContext(ctx, query, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNoRevision
	}
	return r, err
}
