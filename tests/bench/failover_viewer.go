package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"vdi-gateway/tests/lab"
)

const (
	// retryEvery is how often a viewer that has lost its desktop tries again, and how
	// long it waits until somebody takes a connection.
	retryEvery = 100 * time.Millisecond
	// lossTime is after how long without an answer a viewer believes that it is lost.
	lossTime = 200 * time.Millisecond
	// samePortTime is how long it tries the port it had, if nobody refuses it, and how
	// long it waits for a desktop or an answer of the API once connected.
	samePortTime = time.Second
)

// viewer shows a desktop, which is an echo here: a line that comes back is a picture.
type viewer struct {
	host *lab.Host
	name int
	from netip.Addr
	api  server
	body []byte // of open_connection

	port  uint16
	conn  *net.TCPConn // nil: there is none
	lines int
}

// open has a tunnel opened.
func (v *viewer) open(connect, answer time.Duration) error {
	c, err := v.host.Dial(v.from, v.api.addr, connect)
	if err != nil {
		return err
	}
	w := newWire(c, v.api, answer)
	defer w.close()
	status, text, err := w.post(openPath, v.body)
	if err != nil {
		return err
	}
	var t tunnel
	if err := json.Unmarshal(text, &t); err != nil || status != 201 {
		return fmt.Errorf("open_connection answered %d %s", status, text)
	}
	v.port = t.Port
	return nil
}

// see connects to the tunnel's port and wants a picture. taken: somebody took the
// connection, or refused it.
func (v *viewer) see(connect, picture time.Duration) (taken bool, err error) {
	v.close()
	v.conn, err = v.host.Dial(v.from, netip.AddrPortFrom(v.api.addr.Addr(), v.port), connect)
	if err != nil {
		v.conn = nil
		return errors.Is(err, syscall.ECONNREFUSED), err
	}
	return true, v.line(picture)
}

// line sends something and wants it back.
func (v *viewer) line(limit time.Duration) error {
	v.lines++
	line := fmt.Sprintf("viewer %d, line %d\n", v.name, v.lines)
	_ = v.conn.SetDeadline(time.Now().Add(limit)) // fails when closed, and so does the rest
	if _, err := io.WriteString(v.conn, line); err != nil {
		return err
	}
	got := make([]byte, len(line))
	if _, err := io.ReadFull(v.conn, got); err != nil {
		return err
	}
	if string(got) != line {
		return fmt.Errorf("%w: %s: got %q, sent %q", errWrong, v.from, got, line)
	}
	return nil
}

// comeBack is how long after a fault the desktop is seen again, at most desktopBound.
// Viewers do not notice all at the same moment.
func (v *viewer) comeBack(ctx context.Context, fault time.Time) (time.Duration, error) {
	if err := pause(ctx, time.Duration(v.name)*retryEvery/desktopClients); err != nil {
		return 0, err
	}
	err := v.line(lossTime)
	for since := time.Now(); err != nil && !errors.Is(err, errWrong) && time.Since(fault) < desktopBound; {
		begun := time.Now()
		since, err = v.again(since)
		if err == nil {
			break
		}
		if perr := pause(ctx, retryEvery-time.Since(begun)); perr != nil {
			return 0, perr
		}
	}
	if errors.Is(err, errWrong) {
		return 0, err
	}
	return min(time.Since(fault), desktopBound), nil
}

// again tries the port that it has had since a moment, and another one when that leads
// nowhere.
func (v *viewer) again(since time.Time) (time.Time, error) {
	taken, err := v.see(retryEvery, samePortTime)
	if err == nil || errors.Is(err, errWrong) || !taken && time.Since(since) < samePortTime {
		return since, err
	}
	if err := v.open(retryEvery, samePortTime); err != nil {
		return since, err
	}
	_, err = v.see(retryEvery, samePortTime)
	return time.Now(), err
}

func (v *viewer) close() {
	if v.conn != nil {
		_ = v.conn.Close()
	}
}
