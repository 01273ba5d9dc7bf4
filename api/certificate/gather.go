package certificate

import (
	"crypto/tls"
	"net"
	"sync"
)

const (
	// recordMax is the payload of one record of TLS at most (RFC 8446 section 5.1).
	recordMax = 16 << 10
	// gatherMax is how much is written to TLS at once; its records go out together.
	gatherMax = 4 * recordMax
	// recordExtra is more than a record has besides its payload.
	recordExtra = 256
)

// gatherers are buffers for what goes out at once: a connection has one only while it
// writes.
var gatherers = sync.Pool{New: func() any { b := make([]byte, 0, gatherMax+4*recordExtra); return &b }}

// gather lets the records of a long write leave by one system call. TLS makes one call a
// record, which costs a fast stream more than the encryption does.
type gather struct {
	writing sync.Mutex // one write at a time

	mu   sync.Mutex
	held *[]byte // nil: nothing is being gathered
	err  error   // of a write that TLS believes to have succeeded
}

// write writes p to t, whose records come back to out.
func (g *gather) write(t *tls.Conn, out net.Conn, p []byte) (written int, err error) {
	g.writing.Lock()
	defer g.writing.Unlock()
	if len(p) <= recordMax {
		return t.Write(p)
	}
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), gatherMax)]
		g.begin()
		if _, err = t.Write(part); err == nil {
			written, p = written+len(part), p[len(part):]
		}
		if failed := g.flush(out); err == nil && failed != nil {
			return written - len(part), failed
		}
	}
	return written, err
}

func (g *gather) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = gatherers.Get().(*[]byte)
}

// flush sends what was gathered. Whoever writes meanwhile comes after it.
func (g *gather) flush(out net.Conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(*g.held) > 0 && g.err == nil {
		_, g.err = out.Write(*g.held)
	}
	*g.held = (*g.held)[:0]
	gatherers.Put(g.held)
	g.held = nil
	return g.err
}

// record takes a record from TLS.
func (g *gather) record(out net.Conn, p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.err != nil:
		return 0, g.err
	case g.held != nil:
		*g.held = append(*g.held, p...)
		return len(p), nil
	}
	return out.Write(p)
}
