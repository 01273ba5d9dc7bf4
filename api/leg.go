package api

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxMessage bounds one message, in bytes. Messages are read as they
	// come, so that it bounds no memory.
	maxMessage = 16 << 20
	// pongTime is what a peer has to answer a ping in.
	pongTime = 10 * time.Second
	// farewellTime is what the closing handshake may take.
	farewellTime = time.Second
)

// errText refuses text frames: a desktop's stream is bytes.
var errText = errors.New("a text frame; only binary ones carry a tunnel")

// leg is the client's side of a tunnel as a stream: what binary frames carry.
// One goroutine may read and one write. Close ends both at once but leaves the
// connection to finish, which says goodbye.
type leg struct {
	net.Conn // the TCP connection, for its addresses and deadlines alone
	tcp      *net.TCPConn
	ws       *websocket.Conn
	message  io.Reader   // being read; nil: the next one is due
	torn     atomic.Bool // a frame was cut short, or the peer is dead
}

func newLeg(ws *websocket.Conn, tcp *net.TCPConn) *leg {
	ws.SetReadLimit(maxMessage)
	return &leg{Conn: tcp, tcp: tcp, ws: ws}
}

// Read reads what frames carry, across their borders.
func (l *leg) Read(p []byte) (int, error) {
	for {
		if l.message == nil {
			if err := l.next(); err != nil {
				return 0, err
			}
		}
		n, err := l.message.Read(p)
		if errors.Is(err, io.EOF) { // of the message
			l.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (l *leg) next() error {
	kind, message, err := l.ws.Reader(context.Background())
	switch {
	case err != nil && websocket.CloseStatus(err) != -1:
		return io.EOF
	case err != nil:
		return err
	case kind != websocket.MessageBinary:
		l.bye(websocket.StatusUnsupportedData, "binary frames only")
		return errText
	}
	l.message = message
	return nil
}

// Write sends p as one binary frame.
func (l *leg) Write(p []byte) (int, error) {
	if err := l.ws.Write(context.Background(), websocket.MessageBinary, p); err != nil {
		l.torn.Store(true)
		return 0, err
	}
	return len(p), nil
}

// Close interrupts Read and Write.
func (l *leg) Close() error {
	return l.SetDeadline(time.Unix(1, 0)) // the past
}

// Reset ends the leg without a farewell: the client gets a TCP reset.
func (l *leg) Reset() error {
	l.torn.Store(true)
	_ = l.tcp.SetLinger(0) // closed already: just as well
	return l.tcp.Close()
}

// finish says goodbye, unless the connection is beyond that, and closes it.
// reason is why the tunnel ended.
func (l *leg) finish(reason string) {
	switch {
	case l.torn.Load():
		_ = l.Reset()
	case reason == "shutdown":
		l.bye(websocket.StatusGoingAway, reason)
	case reason == "vm_closed", reason == "client_closed", reason == "idle", reason == "max_time":
		l.bye(websocket.StatusNormalClosure, reason)
	default:
		l.bye(websocket.StatusInternalError, reason)
	}
	_ = l.ws.CloseNow() // frees what the library holds
}

func (l *leg) bye(code websocket.StatusCode, reason string) {
	// The closing handshake of a peer that is gone fails, and that is all.
	_ = l.SetDeadline(time.Now().Add(farewellTime))
	_ = l.ws.Close(code, reason)
}

// ping asks the peer for a sign of life every interval until ctx is done, and
// ends the leg as timed out when none comes. A peer that is busy taking data
// shows life by that; a ping would queue behind it.
func (l *leg) ping(ctx context.Context, interval time.Duration) {
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !l.alive(ctx) && ctx.Err() == nil {
			l.torn.Store(true)
			_ = l.Close() // Read fails by its deadline: the reason is a timeout
			return
		}
	}
}

// alive tells whether the peer answers a ping in time, or takes data instead.
func (l *leg) alive(ctx context.Context) bool {
	before, busy, ok := backlog(l.tcp)
	switch {
	case !ok:
		return true // closed: its reader knows better
	case !busy && l.pong(ctx):
		return true
	case busy:
		pause(ctx, pongTime)
	}
	after, stillBusy, ok := backlog(l.tcp)
	return !ok || (busy || stillBusy) && after > before
}

func (l *leg) pong(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, pongTime)
	defer cancel()
	err := l.ws.Ping(ctx)
	return err == nil || errors.Is(err, net.ErrClosed)
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
