package settingsdb

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// AuditRow tells that a session opened or closed. Bytes, Duration and Reason
// belong to its end; BytesUp is from client to VM. Times are kept to the
// microsecond.
type AuditRow struct {
	At           time.Time
	Event        string // "open" or "close"
	ConnectionID string
	Node         string
	User         string
	Verified     bool // User comes from a ticket, not from the client
	VMID         string
	VMAddress    string
	VMPort       int
	Protocol     string
	ClientAddr   string
	Port         int
	Mode         string
	BytesUp      int64
	BytesDown    int64
	Duration     time.Duration
	Reason       string
}

const (
	auditColumns = "at, event, connection_id, node, user, verified, vm_id, vm_address, vm_port, protocol," +
		" client_addr, port, mode, bytes_up, bytes_down, duration, reason"
	auditWidth = 17
	// statementRows is how many rows one INSERT takes; more gain nothing.
	statementRows = 64
)

func (r AuditRow) values() []any {
	return []any{
		r.At.UnixMicro(), r.Event, r.ConnectionID, r.Node, r.User, r.Verified, r.VMID, r.VMAddress, r.VMPort, r.Protocol,
		r.ClientAddr, r.Port, r.Mode, r.BytesUp, r.BytesDown, r.Duration.Microseconds(), r.Reason,
	}
}

// putAudit writes rows in one transaction.
func (s *Store) putAudit(ctx context.Context, rows []AuditRow) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		whole := len(rows) / statementRows * statementRows
		if err := insertAudit(ctx, tx, rows[:whole], statementRows); err != nil {
			return err
		}
		return insertAudit(ctx, tx, rows[whole:], 1)
	})
}

// insertAudit writes rows, whose number is a multiple of step, by a statement
// that takes step of them.
func insertAudit(ctx context.Context, tx *sql.Tx, rows []AuditRow, step int) error {
	if len(rows) == 0 {
		return nil
	}
	marks := "(" + strings.TrimSuffix(strings.Repeat("?,", auditWidth), ",") + "),"
	//nolint:gosec // constants and question marks only
	insert, err := tx.PrepareContext(ctx,
		"INSERT INTO audit ("+auditColumns+") VALUES "+strings.TrimSuffix(strings.Repeat(marks, step), ","))
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	args := make([]any, 0, step*auditWidth)
	for ; len(rows) > 0; rows = rows[step:] {
		args = args[:0]
		for _, row := range rows[:step] {
			args = append(args, row.values()...)
		}
		if _, err := insert.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// AuditRows returns the newest rows, newest first, at most limit of them.
func (s *Store) AuditRows(ctx context.Context, limit int) ([]AuditRow, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	found, err := s.reader.QueryContext(ctx, "SELECT "+auditColumns+" FROM audit ORDER BY id DESC LIMIT ?", max(limit, 0))
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer func() { _ = found.Close() }()
	rows := []AuditRow{}
	for found.Next() {
		row, err := scanAudit(found)
		if err != nil {
			return nil, explain(s.path, err)
		}
		rows = append(rows, row)
	}
	return rows, explain(s.path, found.Err())
}

func scanAudit(found *sql.Rows) (AuditRow, error) {
	var r AuditRow
	var at, duration int64
	err := found.Scan(&at, &r.Event, &r.ConnectionID, &r.Node, &r.User, &r.Verified, &r.VMID, &r.VMAddress, &r.VMPort,
		&r.Protocol, &r.ClientAddr, &r.Port, &r.Mode, &r.BytesUp, &r.BytesDown, &duration, &r.Reason)
	r.At, r.Duration = time.UnixMicro(at).UTC(), time.Duration(duration)*time.Microsecond
	return r, err
}
