package rfb

import (
	"context"
	"net"
	"time"
)

// DefaultLimit is how long a handshake may take where a Limit of 0 is given.
const DefaultLimit = 10 * time.Second

// within runs a handshake on conn under a deadline and until ctx ends. Afterwards the
// connection has no deadline; on an error it is closed.
func within(ctx context.Context, conn net.Conn, limit time.Duration, side Side, handshake func(context.Context) error) error {
	if limit <= 0 {
		limit = DefaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// One word for both ends: an expired ctx is a deadline in the past.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := handshake(ctx)
	if !stop() {
		err = overdue(ctx, side, err)
	}
	if err == nil {
		_ = conn.SetDeadline(time.Time{}) // fails if the connection has ended, which shows soon enough
	}
	if err != nil {
		_ = conn.Close()
	}
	return err
}

// overdue is the error of a handshake whose ctx has ended, whatever the handshake itself
// made of that.
func overdue(ctx context.Context, side Side, err error) error {
	e, ok := err.(*Error) //nolint:errorlint // what this package returns is never wrapped
	switch {
	case ctx.Err() == context.Canceled: //nolint:errorlint // context returns it bare
		return &Error{Side: side, Kind: Canceled, Text: "given up", Err: context.Cause(ctx)}
	case ok && e.Kind != Closed && e.Kind != Protocol:
		return e // it failed by itself, a moment before
	}
	return (&peer{side: side, step: "handshake"}).broken(ctx.Err())
}
