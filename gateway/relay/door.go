package relay

import (
	"net"
	"net/netip"
	"time"
)

const (
	// greetingTime is how long a peer may take to say whom it speaks for.
	greetingTime = 3 * time.Second
	// greetingsMax is how many such peers are waited for, on each loop; more
	// are reset.
	greetingsMax = 1024
)

// Door is a listening socket of an engine.
type Door interface {
	// Addr is the address it listens on.
	Addr() netip.AddrPort
	// Control calls do with the socket's descriptor, unless it is closed.
	Control(do func(fd int) error) error
	// Close stops listening at once: the address is free when it returns.
	// Pairs that came in stay.
	Close()
}

// DoorOptions say how to listen and what to do with who comes in. None of the
// funcs may block: they are called on the goroutines that move bytes.
type DoorOptions struct {
	// Setup prepares the socket before it is bound; it may be nil.
	Setup func(fd int) error
	// Proxied tells which peers speak for others: a connection of theirs must
	// begin with a PROXY header of version 2, whose client knocks then. One
	// that does not is reset; a check of their own (LOCAL) is closed in order.
	// nil: nobody does.
	Proxied func(peer netip.Addr) bool
	// Knock decides about a client. nil refuses it with a reset; its pair is
	// only a name then. Otherwise the call's VM is dialled and joined.
	Knock func(v Visitor, p Pair) *Call
	// Accepted prepares the socket of a client that is not refused; it may
	// be nil.
	Accepted func(fd int)
	// Starved is told when descriptors run out; accepting pauses meanwhile.
	Starved func(err error)
}

// knock asks a door about a client that may come in at all.
func (e *Engine) knock(o DoorOptions, v Visitor, p Pair) *Call {
	if e.Admit != nil && !e.Admit(v.Client.Addr().Unmap()) {
		return nil
	}
	return o.Knock(v, p)
}

// Call is where a client of a door wants to go.
type Call struct {
	// Take gets the client itself, on a goroutine of its own, and then nothing else of
	// the call counts: somebody has to talk to it before it is joined, by Join. It is
	// called once, with nil where descriptors have run out. nil: the VM is dialled.
	Take func(client *net.TCPConn)

	To      []netip.AddrPort // tried in turn
	Timeout time.Duration    // for all of them, in equal shares; 0: the kernel's
	// Setup prepares the socket to the VM; it may be nil.
	Setup func(fd int) error
	// Prelude is sent to the VM in front of the client's first byte.
	Prelude []byte
	Options
	// Missed is told of every address that could not be reached; it may be
	// nil.
	Missed func(to netip.AddrPort, err error)
	// Joined is called when the VM was reached, before any byte moves; it may
	// be nil. OnEnd follows in any case, with Result.Err set when it was not
	// called.
	Joined func()
}
