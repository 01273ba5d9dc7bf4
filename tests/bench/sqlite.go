package main

import (
	"context"
	"database/sql/driver"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"vdi-gateway/settingsdb"
)

// The same batches as the product's: rows in one statement, rows in one
// transaction.
const (
	statementRows   = 64
	transactionRows = 1024
)

const auditColumns = "at, event, connection_id, node, user, verified, vm_id, vm_address, vm_port, protocol," +
	" client_addr, port, mode, bytes_up, bytes_down, duration, reason"

// sqliteAlone writes the rows through the driver, with nothing in between.
func sqliteAlone(ctx context.Context, path string) (took time.Duration, err error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open("file:" + path + "?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	if err != nil {
		return 0, err
	}
	c := conn.(*sqlite3.SQLiteConn)
	defer func() {
		if closed := c.Close(); err == nil {
			err = closed
		}
	}()
	w, err := newWriter(ctx, c)
	if err != nil {
		return 0, err
	}
	defer w.close()
	begin := time.Now()
	for first := 0; first < auditRows; first += transactionRows {
		if err := w.transaction(ctx, first, min(first+transactionRows, auditRows)); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// writer has its statements prepared once.
type writer struct {
	conn      *sqlite3.SQLiteConn
	many, one driver.Stmt
	args      []driver.NamedValue
}

func newWriter(ctx context.Context, c *sqlite3.SQLiteConn) (*writer, error) {
	const marks = "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
	many, err := c.PrepareContext(ctx, "INSERT INTO audit ("+auditColumns+") VALUES "+marks+strings.Repeat(","+marks, statementRows-1))
	if err != nil {
		return nil, err
	}
	one, err := c.PrepareContext(ctx, "INSERT INTO audit ("+auditColumns+") VALUES "+marks)
	if err != nil {
		_ = many.Close()
		return nil, err
	}
	return &writer{conn: c, many: many, one: one}, nil
}

func (w *writer) close() { _, _ = w.many.Close(), w.one.Close() }

// transaction writes the rows from first up to last.
func (w *writer) transaction(ctx context.Context, first, last int) error {
	tx, err := w.conn.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return err
	}
	for first < last {
		statement, n := w.many, statementRows
		if last-first < statementRows {
			statement, n = w.one, 1
		}
		if err := w.insert(ctx, statement, first, n); err != nil {
			_ = tx.Rollback()
			return err
		}
		first += n
	}
	return tx.Commit()
}

func (w *writer) insert(ctx context.Context, statement driver.Stmt, first, n int) error {
	w.args = w.args[:0]
	for i := range n {
		for _, v := range values(auditRow(first + i)) {
			w.args = append(w.args, driver.NamedValue{Ordinal: len(w.args) + 1, Value: v})
		}
	}
	_, err := statement.(driver.StmtExecContext).ExecContext(ctx, w.args)
	return err
}

func values(r settingsdb.AuditRow) []driver.Value {
	return []driver.Value{
		r.At.UnixMicro(), r.Event, r.ConnectionID, r.Node, r.User, r.Verified, r.VMID, r.VMAddress, int64(r.VMPort), r.Protocol,
		r.ClientAddr, int64(r.Port), r.Mode, r.BytesUp, r.BytesDown, r.Duration.Microseconds(), r.Reason,
	}
}
