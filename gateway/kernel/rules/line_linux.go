package rules

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
)

// line is a connection that stays, for changes that come often. With a socket's end the
// kernel clears away what was deleted, which takes it some 10 ms, and makes no other change
// meanwhile.
type line struct {
	conn *nftables.Conn // nil: none is open
	sock *netlink.Conn
}

// flush sends operations like the function of that name.
func (l *line) flush(ops []operation) error {
	err := l.open()
	if err == nil {
		err = l.sock.SetReadDeadline(time.Now().Add(answerTime))
	}
	if err == nil {
		err = send(l.conn, ops)
	}
	if err != nil && l.conn != nil { // the library keeps what went wrong in a Conn
		_ = l.conn.CloseLasting()
		l.conn = nil
	}
	return err
}

func (l *line) open() (err error) {
	if l.conn != nil {
		return nil
	}
	l.conn, err = connect(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error { l.sock = c; return nil }))
	return err
}

func send(c *nftables.Conn, ops []operation) error {
	for _, op := range ops {
		if err := op.send(c); err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
	}
	return c.Flush()
}
