package desktop

import (
	"bufio"
	"context"
	"image"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	handshakeTimeout = 10 * time.Second
	writeTimeout     = 10 * time.Second
	messageTimeout   = 30 * time.Second // from a message's first byte to its last
)

// client is one connection. One goroutine reads what it says, one writes the
// updates it asked for.
type client struct {
	// set by attend
	desk  *Desktop
	conn  net.Conn
	in    *bufio.Reader
	ready chan struct{} // there may be something to send

	// guarded by desk.mu
	pixels    *converter
	hextile   bool
	sendMap   bool            // a colour map was asked for and not yet sent
	want      image.Rectangle // asked for and not yet answered; empty: nothing
	outOfDate region          // what the client has an old picture of

	buttons uint8  // reader's: pressed at the last pointer event
	buf     []byte // writer's
}

// attend serves one client until it leaves, breaks the protocol or ctx ends.
// It closes conn.
func (d *Desktop) attend(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	conn = meter{Conn: conn, in: &d.in, out: &d.out}
	c := &client{
		desk: d, conn: conn, in: bufio.NewReaderSize(conn, 4096),
		ready:  make(chan struct{}, 1),
		pixels: newConverter(nativeFormat),
	}
	var parts sync.WaitGroup
	parts.Go(func() { <-ctx.Done(); _ = conn.Close() })
	err := c.handshake()
	if err == nil {
		d.join(c)
		parts.Go(func() { defer cancel(); c.write(ctx) })
		err = c.read()
		d.leave(c)
	}
	cancel()
	parts.Wait()
	return err
}

func (d *Desktop) join(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.outOfDate.add(d.canvas.bounds())
	d.clients[c] = struct{}{}
}

func (d *Desktop) leave(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.clients, c)
}

// offer adds to what the client has not seen, and wakes its writer if that is
// what it waits for. It reports false when the client goes on waiting. The
// caller holds desk.mu.
func (c *client) offer(news region) bool {
	for _, r := range news {
		c.outOfDate.add(r)
	}
	if c.want.Empty() {
		return true
	}
	if !c.outOfDate.overlaps(c.want) {
		return false
	}
	select {
	case c.ready <- struct{}{}:
	default: // it has been told already
	}
	return true
}

// meter counts the bytes of a connection.
type meter struct {
	net.Conn
	in, out *atomic.Int64
}

func (m meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.in.Add(int64(n))
	return n, err
}

func (m meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.out.Add(int64(n))
	return n, err
}
