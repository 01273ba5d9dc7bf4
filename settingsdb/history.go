package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// keptRevisions is how many revisions the history holds.
const keptRevisions = 1000

// Current returns the revision in force: the newest applied one. Its field
// Edited tells that the settings row was written by hand; such a row counts
// for nothing and is replaced by the next change.
func (s *Store) Current(ctx context.Context) (Revision, error) {
	return inForce(ctx, s.reader, s.path)
}

func inForce(ctx context.Context, db querier, path string) (Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	// One statement sees one state of the database, also beside a change.
	var row string
	query := "SELECT *, coalesce((SELECT document FROM settings), '') FROM (" + newestApplied + ")"
	stored, err := scanRevision(func(targets ...any) error {
		return db.QueryRowContext(ctx, query).Scan(append(targets, &row)...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Revision{}, fmt.Errorf("database %s: %w: it holds no applied revision", path, ErrCorrupt)
	}
	if err != nil {
		return Revision{}, explain(path, err)
	}
	r, err := stored.strict()
	r.Edited = row != stored.document
	return r, explain(path, err)
}

// Revision returns one revision of the history, [ErrNoRevision] when there is
// none of this number (any more).
func (s *Store) Revision(ctx context.Context, number int64) (Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	stored, err := selectRevision(ctx, s.reader, "SELECT "+revisionColumns+" FROM history WHERE revision = ?", number)
	if err != nil {
		return Revision{}, explain(s.path, err)
	}
	r, err := stored.strict()
	return r, explain(s.path, err)
}

// PendingRollback returns the revision in force if it waits for a confirmation,
// else nil. Its Previous is the revision to go back to, see [Store.RollBack].
func (s *Store) PendingRollback(ctx context.Context) (*Revision, error) {
	r, err := s.Current(ctx)
	if err != nil || r.RollbackAt == nil {
		return nil, err
	}
	return &r, nil
}

// History returns the newest revisions, newest first, at most limit of them.
// A document that this version cannot read is the zero value.
func (s *Store) History(ctx context.Context, limit int) ([]Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	found, err := s.reader.QueryContext(ctx,
		"SELECT "+revisionColumns+" FROM history ORDER BY revision DESC LIMIT ?", max(limit, 0))
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer func() { _ = found.Close() }()
	revisions := []Revision{}
	for found.Next() {
		stored, err := scanRevision(found.Scan)
		if err != nil {
			return nil, explain(s.path, err)
		}
		revisions = append(revisions, stored.lenient())
	}
	return revisions, explain(s.path, found.Err())
}
