package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Examination is what a database holds, as far as it can be read.
type Examination struct {
	// Revision is the one in force. Of an original database it is number 0 with the
	// document as [Original] converts it.
	Revision Revision
	Original bool
	// Damage is what SQLite finds wrong with the whole file, the audit table included;
	// "": nothing.
	Damage string
}

// maxDamage is how many faults one file can make us say.
const maxDamage = 5

// Examine reads a database beside a running node, or without one, and changes nothing in
// it: no schema is brought up to date and no original upgraded. The errors are those of
// [Open].
func Examine(ctx context.Context, path string) (Examination, error) {
	path = resolved(path)
	found, err := inspect(ctx, path)
	if err != nil {
		return Examination{}, err
	}
	db, err := connect(ctx, path, asFound, 1)
	if err != nil {
		return Examination{}, explain(path, err)
	}
	defer func() { _ = db.Close() }()
	e := Examination{Original: found.original != nil}
	if e.Original {
		s, problems := Original(found.original)
		if len(problems) > 0 {
			return e, fmt.Errorf("database %s of the original: its document is not valid: %w", path, problems)
		}
		e.Revision.Settings = s
	} else if e.Revision, err = inForce(ctx, db, path); err != nil {
		return e, err
	}
	e.Damage, err = damage(ctx, db)
	return e, explain(path, err)
}

// damage looks at every page. It takes a second for some hundred megabytes.
func damage(ctx context.Context, db *sql.DB) (string, error) {
	lines, err := column(ctx, db, fmt.Sprintf("PRAGMA quick_check(%d)", maxDamage))
	if errors.Is(causeOf("", err), ErrCorrupt) {
		return err.Error(), nil
	}
	if err != nil || len(lines) == 1 && lines[0] == "ok" {
		return "", err
	}
	return strings.Join(lines, "; "), nil
}
