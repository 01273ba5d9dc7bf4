package settingsdb

import (
	"context"
	"database/sql"
	"time"
)

// sweepRows bounds how many rows one step of the retention looks at, so that a
// waiting settings change or group is not held up.
const sweepRows = 2000

// sweep drops rows that are too old or too many, in small steps, and lets
// queued rows through between the steps.
func (a *Audit) sweep(ctx context.Context) {
	for more := true; more && ctx.Err() == nil; {
		var err error
		more, err = a.store.trimAudit(ctx, time.Now().Add(-a.cfg.MaxAge), a.cfg.MaxRows)
		if err != nil {
			if ctx.Err() == nil {
				a.failed(err)
			}
			return
		}
		a.succeeded()
		a.drain()
		a.commit(ctx)
	}
}

// trimAudit drops, among the sweepRows oldest rows, those from before oldest
// and those that exceed most, and reports whether there may be more to drop.
// Rows are numbered in the order of their arrival, without gaps but at the old
// end.
func (s *Store) trimAudit(ctx context.Context, oldest time.Time, most int) (more bool, err error) {
	err = s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var first, last int64
		err := tx.QueryRowContext(ctx, "SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM audit").Scan(&first, &last)
		if err != nil || last < first {
			return err
		}
		result, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE id < ? AND (at < ? OR id <= ?)",
			first+sweepRows, oldest.UnixMicro(), last-int64(most))
		if err != nil {
			return err
		}
		dropped, err := result.RowsAffected()
		more = dropped == sweepRows
		return err
	})
	return more, err
}
