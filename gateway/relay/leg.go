package relay

import (
	"net"
)

// resetter is a leg that knows how to end without a farewell.
type resetter interface{ Reset() error }

// halfCloser is a leg whose sending side can be ended alone.
type halfCloser interface{ CloseWrite() error }

func isTCP(c net.Conn) bool {
	_, ok := c.(*net.TCPConn)
	return ok
}

func canHalfClose(c net.Conn) bool {
	_, ok := c.(halfCloser)
	return ok
}

// closeWrite ends the sending side of c; false when c has no such thing.
func closeWrite(c net.Conn) bool {
	h, ok := c.(halfCloser)
	if ok {
		_ = h.CloseWrite() // a peer that is gone shows in the other direction
	}
	return ok
}

// reset closes c so that its peer knows at once: a TCP reset where that is
// possible.
func reset(c net.Conn) {
	switch c := c.(type) {
	case *net.TCPConn:
		_ = c.SetLinger(0)
		_ = c.Close()
	case resetter:
		_ = c.Reset()
	default:
		_ = c.Close()
	}
}

// Reset closes a connection that was not joined so that its peer gets a TCP
// reset instead of an end of stream.
func Reset(c net.Conn) { reset(c) }
