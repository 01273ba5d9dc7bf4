package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/settingsdb"
	"vdi-gateway/tests/bench/figure"
)

const (
	auditRows = 100_000
	auditTime = time.Minute // for all of them
	auditPoll = 2 * time.Millisecond
)

// audit measures how many audit rows become durable in a second, from
// the first Write until the last row is committed, beside SQLite alone with the
// same statements and transactions.
func (b *apiBench) audit(ctx context.Context) error {
	b.sheet.Progress("%d audit rows, synchronous FULL, beside SQLite alone", auditRows)
	return figure.Rounds(ctx, func(round, of int) error {
		b.sheet.Progress("round %d of %d", round+1, of)
		var ours, theirs float64
		err := figure.Turns(round,
			func() error {
				return rowsPerSecond(ctx, filepath.Join(b.dir, fmt.Sprintf("audit%d.db", round)), &ours, throughQueue)
			},
			func() error {
				return rowsPerSecond(ctx, filepath.Join(b.dir, fmt.Sprintf("bare%d.db", round)), &theirs, sqliteAlone)
			})
		if err == nil {
			b.sheet.Add(audited, ours, theirs)
		}
		return err
	})
}

// rowsPerSecond makes a database, lets write put all rows into it and wants
// them all to be there.
func rowsPerSecond(ctx context.Context, path string, rate *float64, write func(context.Context, string) (time.Duration, error)) error {
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	fresh, err := settingsdb.Fresh(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		return err
	}
	store, err := settingsdb.Create(path, fresh, "bench")
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	took, err := write(ctx, path)
	if err != nil {
		return err
	}
	*rate = auditRows / took.Seconds()
	return allThere(ctx, path)
}

func throughQueue(ctx context.Context, path string) (time.Duration, error) {
	store, err := settingsdb.Open(path)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	log := logrus.New()
	log.SetOutput(io.Discard)
	audit := settingsdb.NewAudit(store, settingsdb.AuditConfig{Queue: auditRows}, log)
	runCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- audit.Run(runCtx) }()
	begin := time.Now()
	for i := range auditRows {
		audit.Write(auditRow(i))
	}
	err = awaitRow(ctx, store, auditRow(auditRows-1).ConnectionID)
	took := time.Since(begin)
	stop()
	if stopped := <-ended; err == nil {
		err = stopped
	}
	return took, err
}

// awaitRow waits until a row is the newest.
func awaitRow(ctx context.Context, store *settingsdb.Store, id string) error {
	tick := time.NewTicker(auditPoll)
	defer tick.Stop()
	for {
		newest, err := store.AuditRows(ctx, 1)
		if err != nil || len(newest) == 1 && newest[0].ConnectionID == id {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// allThere compares every row of the database with what was written.
func allThere(ctx context.Context, path string) error {
	store, err := settingsdb.Open(path)
	if err != nil {
		return err
	}
	defer store.Close()
	got, err := store.AuditRows(ctx, auditRows+1)
	if err != nil {
		return err
	}
	if len(got) != auditRows {
		return fmt.Errorf("%w: %d audit rows are in the database, %d were written", errWrong, len(got), auditRows)
	}
	for i, row := range got { // newest first
		if want := auditRow(auditRows - 1 - i); row != want {
			return fmt.Errorf("%w: audit row %d is %+v, written was %+v", errWrong, i, row, want)
		}
	}
	return nil
}

// auditRow is the end of a usual session; number makes it different.
func auditRow(number int) settingsdb.AuditRow {
	return settingsdb.AuditRow{
		At: time.UnixMicro(1_800_000_000_000_000 + int64(number)).UTC(), Event: "close",
		ConnectionID: fmt.Sprintf("6f0e9a52-5d0f-4f0c-9c2e-%012d", number), Node: "10.0.0.1",
		User: "alice@example.org", Verified: true, VMID: "vm-4711", VMAddress: "10.1.2.3", VMPort: 5901, Protocol: "vnc",
		ClientAddr: "203.0.113.7", Port: 5937, Mode: "port", BytesUp: int64(number), BytesDown: 1 << 30,
		Duration: 90 * time.Minute, Reason: "client_closed",
	}
}
