package rfb

import "net"

// Watch is a client's connection after Accept that may only watch: what is read from it has
// been through ViewOnly. What is written to it goes to the client untouched. It knows a
// half-close if client does.
func Watch(client net.Conn, s Shared) net.Conn {
	w := &watcher{Conn: client, filter: ViewOnly{Shared: s}}
	if half, ok := client.(halfCloser); ok {
		return halfWatcher{w, half}
	}
	return w
}

type halfCloser interface{ CloseWrite() error }

// halfWatcher is a watcher whose sending side can be ended alone.
type halfWatcher struct {
	*watcher
	halfCloser
}

type watcher struct {
	net.Conn
	filter ViewOnly // the reader's
	small  [2 * longestHead]byte
	left   []byte // of small, for the next Read
}

// Read gives what may pass.
func (w *watcher) Read(p []byte) (int, error) {
	if len(w.left) == 0 && len(p) >= len(w.small) {
		return w.pass(p)
	}
	if len(w.left) == 0 && len(p) > 0 {
		n, err := w.pass(w.small[:])
		if err != nil {
			return 0, err
		}
		w.left = w.small[:n]
	}
	n := copy(p, w.left)
	w.left = w.left[n:]
	return n, nil
}

// pass fills the beginning of p. The filter works where the bytes lie: what it holds back
// and adds later is shorter than the longest head, so that much room is left before them.
// An error comes without bytes: those before it have been passed.
func (w *watcher) pass(p []byte) (int, error) {
	for w.filter.err == nil {
		n, err := w.Conn.Read(p[longestHead:])
		passed, _ := w.filter.Append(p[:0], p[longestHead:longestHead+n])
		if len(passed) > 0 {
			return len(passed), nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, w.filter.err
}

// NetConn is the client's connection itself.
func (w *watcher) NetConn() net.Conn { return w.Conn }

// Reset ends the connection without a farewell where it can.
func (w *watcher) Reset() error {
	switch c := w.Conn.(type) {
	case *net.TCPConn:
		_ = c.SetLinger(0)
	case interface{ Reset() error }:
		return c.Reset()
	}
	return w.Close()
}
