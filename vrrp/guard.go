package vrrp

import (
	"net/netip"
	"time"
)

const (
	// GuardSilence is after how much silence of its process a guard removes the
	// addresses.
	GuardSilence = 150 * time.Millisecond
	// guardBeat is how often the process speaks while the guard has the addresses, and
	// guardIdle while it has none.
	guardBeat = 30 * time.Millisecond
	guardIdle = 500 * time.Millisecond
	// renewEvery is how often the guard renews an address, and addressLife how long
	// the kernel keeps one that nobody renews: whole seconds, and up to half a second
	// more.
	renewEvery  = 200 * time.Millisecond
	addressLife = 2 * time.Second
)

// order is what a guard is to do: complete, so that one that gets lost does no harm.
type order struct {
	// Term counts the times that this process became Active: addresses that were given
	// up within a term do not come back within it.
	Term  uint64         `json:"term"`
	Hold  bool           `json:"hold"`
	Addrs []netip.Prefix `json:"addrs"`
	On    string         `json:"on"` // the interface
	// At is when it was said, by the machine's clock since it was started. An order
	// that waited in the pipe while both processes were stopped is no sign of life.
	At time.Duration `json:"at"`
	// Farewell is what the guard sends when it gives up, in the name of the process.
	Farewell []datagram `json:"farewell,omitempty"`
}

// datagram is an advertisement ready to be sent.
type datagram struct {
	From netip.Addr `json:"from"`
	To   netip.Addr `json:"to"`
	Data []byte     `json:"data"`
}

// report is a guard's answer to an order, or that it has given up.
type report struct {
	Term   uint64 `json:"term"`
	Held   bool   `json:"held"`
	GaveUp bool   `json:"gave_up,omitempty"`
	// Found are addresses that were there before the guard was told to hold any.
	Found []netip.Addr `json:"found,omitempty"`
	Error string       `json:"error,omitempty"`

	// The keeper's own word: a guard has ended, or another was started.
	Died    string `json:"-"`
	Started bool   `json:"-"`
}

// deed is what a guard does to the addresses of its order.
type deed int

const (
	nothing deed = iota
	put          // add, or renew
	remove
	giveUp // remove, and say farewell
)

// ward is the state of a guard: every method is a transition.
type ward struct {
	order   order
	begun   bool // an order has come
	held    bool
	fresh   time.Duration // when the newest order was said
	renewed time.Duration
	givenUp uint64 // the last term in which it has given up
}

// obey takes an order.
func (w ward) obey(o order, now time.Duration) (ward, deed) {
	first := !w.begun
	changed := first || !sameAddrs(w.order, o)
	w.order, w.begun, w.fresh = o, true, max(w.fresh, o.At)
	alive := now-o.At < GuardSilence
	switch {
	case o.Hold && alive && o.Term > w.givenUp && (!w.held || changed):
		w.held, w.renewed = true, now
		return w, put
	case o.Hold || !w.held && !changed:
		return w, nothing // tick judges what is late
	}
	w.held = false
	return w, remove
}

// tick does what time asks for.
func (w ward) tick(now time.Duration) (ward, deed) {
	switch {
	case !w.held:
		return w, nothing
	case now-w.fresh >= GuardSilence:
		return w.abandoned()
	case now-w.renewed >= renewEvery:
		w.renewed = now
		return w, put
	}
	return w, nothing
}

// abandoned is that the process has ended or hangs.
func (w ward) abandoned() (ward, deed) {
	if !w.held {
		return w, nothing
	}
	w.held, w.givenUp = false, w.order.Term
	return w, giveUp
}

func sameAddrs(a, b order) bool {
	if a.On != b.On || len(a.Addrs) != len(b.Addrs) {
		return false
	}
	for i := range a.Addrs {
		if a.Addrs[i] != b.Addrs[i] {
			return false
		}
	}
	return true
}
