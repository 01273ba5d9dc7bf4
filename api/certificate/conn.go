package certificate

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// recordHandshake is the first byte of TLS (RFC 8446 section 5.1). No HTTP
	// request begins so.
	recordHandshake = 22
	// handshakeTime bounds a handshake, beside the deadline of whoever reads.
	handshakeTime = 10 * time.Second
	// goodbyeTime is what telling the peer about the end may take when it takes
	// nothing.
	goodbyeTime = 100 * time.Millisecond
)

// Conn is a connection with TLS or without. An accepted one speaks TLS when its
// client does, which is found out by the first Read.
type Conn struct {
	net.Conn // below TLS
	keeper   *Keeper
	begun    sync.Once
	err      error // of the beginning
	ahead    []byte
	tls      atomic.Pointer[tls.Conn]
	state    *tls.ConnectionState // set before tls
	closing  atomic.Bool
	gather   gather // of what TLS writes
}

// Accept makes a connection of c. A nil Keeper passes everything as it is.
func (k *Keeper) Accept(c net.Conn) *Conn { return &Conn{Conn: c, keeper: k} }

// Connect speaks TLS over c to whoever was dialled, as cfg says; a nil one is no TLS.
// On an error c is closed.
func Connect(ctx context.Context, c net.Conn, cfg *tls.Config) (*Conn, error) {
	conn := &Conn{Conn: c}
	if cfg == nil {
		return conn, nil
	}
	if err := conn.speak(ctx, tls.Client(&wire{conn}, cfg)); err != nil {
		_ = c.Close()
		return nil, err
	}
	return conn, nil
}

// Secure is c itself, for those that embed it.
func (c *Conn) Secure() *Conn { return c }

// State is that of TLS; nil: the client does not speak it, or has not begun.
func (c *Conn) State() *tls.ConnectionState {
	if c.tls.Load() == nil {
		return nil
	}
	return c.state
}

// Read reads what the client means.
func (c *Conn) Read(p []byte) (int, error) {
	if c.keeper != nil {
		c.begun.Do(c.begin)
	}
	t := c.tls.Load()
	switch {
	case c.err != nil:
		return 0, c.err
	case t != nil:
		return t.Read(p)
	}
	return (&wire{c}).Read(p)
}

// Write writes what the client is meant to read. It speaks TLS once a Read has
// found that the client does.
func (c *Conn) Write(p []byte) (int, error) {
	if t := c.tls.Load(); t != nil {
		return c.gather.write(t, c.Conn, p)
	}
	return c.Conn.Write(p)
}

// begin finds out what the client speaks.
func (c *Conn) begin() {
	var first [1]byte
	if _, err := c.Conn.Read(first[:]); err != nil {
		c.err = err
		return
	}
	c.ahead = first[:]
	if first[0] != recordHandshake {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := c.speak(ctx, tls.Server(&wire{c}, c.keeper.serving.Load().root)); err != nil {
		// So net/http does not answer in plain words.
		c.err = &net.OpError{Op: "read", Net: "tls", Addr: c.RemoteAddr(), Err: err}
	}
}

// speak goes on by TLS when the handshake is done.
func (c *Conn) speak(ctx context.Context, t *tls.Conn) error {
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	state := t.ConnectionState() // once: every request of the connection has it
	c.state = &state
	c.tls.Store(t)
	return nil
}

// CloseWrite tells the client that no more comes.
func (c *Conn) CloseWrite() error {
	if t := c.tls.Load(); t != nil {
		_ = t.CloseWrite() // what matters is what follows
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close ends the connection. A client that takes nothing does not delay it.
func (c *Conn) Close() error {
	c.closing.Store(true)
	if t := c.tls.Load(); t != nil {
		return t.Close()
	}
	return c.Conn.Close()
}

// wire is what TLS is spoken over: what was read ahead comes first.
type wire struct{ *Conn }

// Read reads from the connection below.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.ahead) > 0 {
		n := copy(p, w.ahead)
		w.ahead = w.ahead[n:]
		return n, nil
	}
	return w.Conn.Conn.Read(p)
}

// Write writes to the connection below.
func (w *wire) Write(p []byte) (int, error) { return w.gather.record(w.Conn.Conn, p) }

// Close closes the connection below.
func (w *wire) Close() error { return w.Conn.Conn.Close() }

// SetWriteDeadline is asked for by TLS when it says goodbye, for longer than that
// is worth.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.closing.Load() {
		t = time.Now().Add(goodbyeTime)
	}
	return w.Conn.Conn.SetWriteDeadline(t)
}
