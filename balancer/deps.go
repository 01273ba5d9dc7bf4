package balancer

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"
)

// Deps is what a Balancer needs of others. Members, Sticky, Held and Header are
// called for every client, by the goroutines that move bytes and with a lock
// held: they must not block nor call the balancer.
type Deps struct {
	// Listen opens a door on addr: who comes in is given to d.Knock.
	Listen func(addr netip.AddrPort, d Door) (Listener, error)
	// Header is the PROXY protocol header that tells a node whom a connection is
	// for: the client, and where it went.
	Header func(client, local netip.AddrPort) []byte
	// Members are the nodes as the directory knows them; nil: all are alive and
	// ready.
	Members func() []Member
	// Sticky is what all nodes remember of clients; nil: nothing.
	Sticky Sticky
	// Held counts the live grants of a client by node; nil: nobody counts.
	Held func(client netip.Addr) map[netip.Addr]int
	// Probe asks a node's API whether it is ready, until ctx ends; nil: HTTP GET
	// /readyz.
	Probe func(ctx context.Context, api netip.AddrPort) error
	// TLS is how the default Probe speaks TLS; nil, or a nil answer: it does not.
	TLS func() *tls.Config
	Log logrus.FieldLogger // nil: silence
}

// Door says how to listen and where clients go. None of its funcs blocks.
type Door struct {
	// Setup prepares the listening socket before it is bound.
	Setup func(fd int) error
	// Knock decides about a client; nil refuses it with a reset. cut resets the client
	// once it is on its way, and may be called at any time.
	Knock func(client netip.AddrPort, cut func()) *Route
	// Starved is told when descriptors run out.
	Starved func(err error)
}

// Route is where a client goes. None of its funcs blocks.
type Route struct {
	To        []netip.AddrPort // tried in turn
	Timeout   time.Duration    // for all of them, in equal shares; 0: the kernel's
	HalfClose time.Duration    // as in Timeouts
	Header    []byte           // sent to the node in front of the client's first byte
	// Setup prepares the socket to a node before it connects.
	Setup func(fd int) error
	// Missed is to be told of every address that could not be reached, in order.
	Missed func(to netip.AddrPort, err error)
	// Joined is to be called when one was reached, before any byte moves.
	Joined func()
	// Ended is to be called once in any case, last, with the bytes moved from
	// and to the client.
	Ended func(up, down int64)
}

// Listener is a listening socket.
type Listener interface {
	// Control calls do with the socket's descriptor, unless it is closed.
	Control(do func(fd int) error) error
	// Close frees the address at once; connections that came in stay.
	Close()
}

// Member is a node as the directory knows it.
type Member struct {
	Node                   netip.Addr
	Alive, Ready, Draining bool
	Connections            int // live grants, as the node last said
}

// Sticky is what all nodes remember: which node the clients of a network are
// with.
type Sticky interface {
	Get(source netip.Prefix) (node netip.Addr, known bool)
	Put(source netip.Prefix, node netip.Addr, ttl time.Duration)
}

// filled is d with silent stand-ins for what may be nil.
func (d Deps) filled() Deps {
	if d.Sticky == nil {
		d.Sticky = forgetful{}
	}
	if d.Held == nil {
		d.Held = func(netip.Addr) map[netip.Addr]int { return nil }
	}
	if d.Probe == nil {
		secure := d.TLS
		if secure == nil {
			secure = func() *tls.Config { return nil }
		}
		d.Probe = func(ctx context.Context, api netip.AddrPort) error { return probe(ctx, api, secure()) }
	}
	if d.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		d.Log = silent
	}
	return d
}

// forgetful is a Sticky without memory.
type forgetful struct{}

func (forgetful) Get(netip.Prefix) (netip.Addr, bool)         { return netip.Addr{}, false }
func (forgetful) Put(netip.Prefix, netip.Addr, time.Duration) {}
