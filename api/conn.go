package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/pires/go-proxyproto"

	"vdi-gateway/api/certificate"
)

// conn is an accepted connection that holds a slot of its listener. From a
// trusted peer it may begin with a PROXY header, version 1 or 2; then its
// addresses are those of the header, to everybody above. A header of anyone else
// ends it. What it says is found out at the first use, and then whether it speaks
// TLS.
type conn struct {
	*certificate.Conn
	proxy *proxyproto.Conn // below TLS
	tcp   *net.TCPConn     // below that
	of    *listener
	once  sync.Once
}

func newConn(tcp *net.TCPConn, of *listener) *conn {
	policy, trusted := proxyproto.REJECT, of.trusted(peerOf(tcp))
	if trusted {
		policy = proxyproto.USE
	}
	proxy := proxyproto.NewConn(tcp, proxyproto.WithPolicy(policy),
		proxyproto.SetReadHeaderTimeout(headerTime), proxyproto.ValidateHeader(checkHeader))
	return &conn{Conn: of.tls.Accept(halfCloser{proxy, tcp, trusted}), proxy: proxy, tcp: tcp, of: of}
}

// peerOf is the address at the other end of the wire.
func peerOf(c *net.TCPConn) netip.Addr { return addrOf(c.RemoteAddr()) }

func addrOf(a net.Addr) netip.Addr {
	addr, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap().WithZone("")
}

// checkHeader refuses headers that name no TCP client; those for the sender
// itself (LOCAL, UNKNOWN) are fine.
func checkHeader(h *proxyproto.Header) error {
	if _, _, ok := h.TCPAddrs(); !ok && h.Command.IsProxy() {
		return errors.New("a PROXY header must name a TCP client")
	}
	return nil
}

// proxied tells whether the connection began with a header.
func (c *conn) proxied() bool { return c.proxy.ProxyHeader() != nil }

// halfCloser lets net/http say goodbye before it closes.
type halfCloser struct {
	*proxyproto.Conn
	tcp     *net.TCPConn
	trusted bool // a header may come, and is waited for
}

// RemoteAddr is the client's. net/http asks for it before it sets a deadline: from
// whom no header may come none is waited for, which would add to his time.
func (c halfCloser) RemoteAddr() net.Addr {
	if !c.trusted {
		return c.tcp.RemoteAddr()
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr is where the client connected to.
func (c halfCloser) LocalAddr() net.Addr {
	if !c.trusted {
		return c.tcp.LocalAddr()
	}
	return c.Conn.LocalAddr()
}

// CloseWrite ends what is sent.
func (c halfCloser) CloseWrite() error { return c.tcp.CloseWrite() }

// Close closes at once: what the header says does not matter any more.
func (c halfCloser) Close() error { return c.tcp.Close() }

// Close closes the connection and frees its slot.
func (c *conn) Close() error {
	c.free()
	return c.Conn.Close()
}

func (c *conn) free() { c.once.Do(func() { <-c.of.slots }) }

// freeWhenHijacked gives the slot of a connection back that became a stream.
func freeWhenHijacked(nc net.Conn, now http.ConnState) {
	if c, ok := nc.(*conn); ok && now == http.StateHijacked {
		c.free()
	}
}

// connKey finds the connection of a request in its context.
type connKey struct{}

func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}
