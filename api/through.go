package api

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// side is one end of a stream that passes through this node.
type side struct {
	stream
	from io.Reader    // what was read ahead, then the connection
	tcp  *net.TCPConn // below
}

// stream is a connection whose directions end one by one.
type stream interface {
	net.Conn
	CloseWrite() error
}

// farewellTime is what a side has to end in that has heard all there is.
const farewellTime = time.Second

// buffer holds what a direction is moving. Streams pass here only when a client
// came to another node than its own, so that a buffer may be held while idle.
type buffer [32 << 10]byte

// passBoth moves bytes between a and b until both directions have ended. An end
// of stream is passed on as such, a reset as a reset, unless it was a write that
// met it: then as an end.
func passBoth(a, b side) {
	var p passage
	var done sync.WaitGroup
	done.Go(func() { p.pass(a, b) })
	p.pass(b, a)
	done.Wait()
}

// passage is the state of a stream.
type passage struct {
	mu    sync.Mutex
	ended int // directions that move nothing more
}

// pass moves bytes from src to dst until src ends or either fails.
func (p *passage) pass(dst, src side) {
	readErr, writeErr := move(dst, src.from)
	switch {
	case writeErr != nil:
		// dst is gone. What it said last comes by the other direction, and src
		// would lose that if it were refused before.
		p.end(src)
		_, _ = io.Copy(io.Discard, src.from)
	case errors.Is(readErr, io.EOF):
		_ = dst.CloseWrite() // gone: its own direction tells how
		p.end(dst)
	default:
		reset(dst.tcp)
		reset(src.tcp)
	}
}

// end counts the end of a direction. After the second one s has heard all there
// is, and has a moment to end, too.
func (p *passage) end(s side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended++; p.ended == 2 {
		_ = s.SetReadDeadline(time.Now().Add(farewellTime))
	}
}

// move copies src to dst until either fails; the end of src is io.EOF.
func move(dst io.Writer, src io.Reader) (readErr, writeErr error) {
	var b buffer
	for {
		n, err := src.Read(b[:])
		if n > 0 {
			if _, writeErr = dst.Write(b[:n]); writeErr != nil {
				return nil, writeErr
			}
		}
		if err != nil {
			return err, nil
		}
	}
}

// reset ends a connection with a TCP reset; one closed already stays so.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
