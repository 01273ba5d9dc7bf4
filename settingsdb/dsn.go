package settingsdb

import (
	"context"
	"database/sql"
	"strings"
	"time"

	// Registers the driver "sqlite3".
	_ "github.com/mattn/go-sqlite3"
)

const (
	// busyTimeout is how long SQLite waits for another program's lock.
	busyTimeout = "_busy_timeout=5000"
	// queryTimeout bounds every transaction; it is longer than busyTimeout so
	// that the clearer error wins.
	queryTimeout = 15 * time.Second
)

// Ways to open a file. Only the first may change the header, so foreign files
// are looked at with asFound before anything else.
const (
	asWriter  = "mode=rw&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_foreign_keys=1&" + busyTimeout
	asReader  = "mode=rw&_query_only=1&_synchronous=FULL&_foreign_keys=1&" + busyTimeout
	asFound   = "mode=ro&" + busyTimeout
	asBuilder = "mode=rw&_synchronous=FULL&_txlock=immediate&" + busyTimeout
)

// connect opens a pool of at most conns connections and makes the first one.
func connect(ctx context.Context, path, how string, conns int) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", dsn(path, how))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// dsn writes path as an SQLite URI, in which three characters mean something.
func dsn(path, how string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + how
}

// inTx runs do in one transaction: all of it is committed or nothing.
func inTx(ctx context.Context, db *sql.DB, do func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	// After Commit this does nothing.
	defer func() { _ = tx.Rollback() }()
	if err := do(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
