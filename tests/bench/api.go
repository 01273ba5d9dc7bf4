package main

import (
	"context"
	"errors"
	"os"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/node"
)

// apiTime bounds the whole benchmark.
const apiTime = 10 * time.Minute

// errWrong is the cause when the check beside the figures failed.
var errWrong = errors.New("what was carried is not what was sent")

// The figures of `bench api`. The peer limit is the least that could do the
// job: a bare server, SQLite alone.
var (
	opens50 = figure.Figure{Name: "api.open_per_s", Peer: "limit", Unit: "1/s"}
	slow50  = figure.Figure{Name: "api.open_p99_ms", Peer: "limit", Unit: "ms"}
	opens1  = figure.Figure{Name: "api.open_per_s_1", Peer: "limit", Unit: "1/s"}
	slow1   = figure.Figure{Name: "api.open_p99_ms_1", Peer: "limit", Unit: "ms"}
	starts  = figure.Figure{Name: "api.start_ms", Peer: "limit", Unit: "ms"}
	audited = figure.Figure{Name: "api.audit_per_s", Peer: "limit", Unit: "1/s"}
)

// apiBench measures the figures of the API.
type apiBench struct {
	sheet  *figure.Sheet
	dir    string // for databases
	binary string
}

// benchAPI measures all figures of the API. What could not be run is told on
// the sheet; an error means that there is nothing to run, or that a check
// failed.
func benchAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears its folder, too
	b := &apiBench{dir: dir, sheet: figure.NewSheet(os.Stdout, opens50, slow50, opens1, slow1, starts, audited)}
	if b.binary, err = node.Build(ctx, dir); err != nil {
		return err
	}
	for _, measure := range []func(context.Context) error{b.opens, b.starts, b.audit} {
		err := measure(ctx)
		if errors.Is(err, errWrong) {
			b.sheet.Void(err)
			return err
		}
		if err != nil {
			b.sheet.Missing(err)
		}
	}
	b.sheet.Print(figure.Machine(time.Now()) + ", database on " + figure.Disk(dir))
	return nil
}
