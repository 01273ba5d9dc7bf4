package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"vdi-gateway/api/certificate"
)

// maxConns bounds the connections of one listener that speak HTTP; WebSockets
// do not count, the gateway bounds them. Over it, clients wait to be accepted.
const maxConns = 4096

// listener accepts a bounded number of connections.
type listener struct {
	*net.TCPListener
	trusted func(netip.Addr) bool // who may say whom a connection is for
	admits  func(netip.Addr) bool // who may come in, but those
	tls     *certificate.Keeper
	slots   chan struct{}
	retired atomic.Bool
	closed  chan struct{}
	once    sync.Once
}

func (s *Server) newListener(l *net.TCPListener) *listener {
	return &listener{
		TCPListener: l, trusted: s.trusts, admits: s.admits, tls: s.deps.TLS,
		slots: make(chan struct{}, maxConns), closed: make(chan struct{}),
	}
}

// Accept waits for room, then for a client.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.welcome()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return newConn(c, l), nil
}

// welcome accepts the next client that may come in; the others are reset.
func (l *listener) welcome() (*net.TCPConn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if peer := peerOf(c); l.trusted(peer) || l.admits(peer) {
			return c, nil
		}
		_ = c.SetLinger(0) // only fails when closed
		_ = c.Close()
	}
}

// Close ends accepting; connections go on.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// retire closes l on purpose: its connections are closed after the request
// they are at.
func (l *listener) retire() {
	l.retired.Store(true)
	_ = l.Close() // it may have been closed by a stop
}

// listen binds addr. The wildcard of IPv6 takes IPv4 as well, and is the one of
// IPv4 where there is no IPv6. shared lets it overlap with a listener that is
// shared, too.
func (s *Server) listen(addr netip.AddrPort, shared bool) (*listener, error) {
	network := "tcp"
	if addr.Addr().Is4() {
		network = "tcp4" // 0.0.0.0 does not mean IPv6
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return setShared(raw, shared)
	}}
	lc.SetMultipathTCP(false) // a carrier's bytes are counted by plain TCP
	l, err := lc.Listen(context.Background(), network, addr.String())
	if addr.Addr() == netip.IPv6Unspecified() && errors.Is(err, syscall.EAFNOSUPPORT) {
		return s.listen(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), shared)
	}
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", addr, err)
	}
	return s.newListener(l.(*net.TCPListener)), nil
}
