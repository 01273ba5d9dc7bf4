package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// silenceMax is after how much silence of its process a guard removes the addresses
	// at the latest, see silence.
	silenceMax = 150 * time.Millisecond
	// guardIdle is how often the process speaks while the guard has no addresses.
	guardIdle = 500 * time.Millisecond
	// answerTime is how long a guard may take for an answer before it is replaced: much
	// shorter than the kernel keeps an address. One that is to take the addresses has
	// nothing to lose by it.
	answerTime = 300 * time.Millisecond
	takeTime   = 60 * time.Millisecond
	// startTime is what a new guard has until its first answer.
	startTime = time.Second
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
	Term   uint64     `json:"term"`
	Hold   bool       `json:"hold"`
	Places []place    `json:"places"`
	On     string     `json:"on"`   // the interface of advertisements
	From   netip.Addr `json:"from"` // the process's source address there
	// At is when it was said, by the machine's clock since it was started. An order
	// that waited in the pipe while both processes were stopped is no sign of life.
	At time.Duration `json:"at"`
	// Silence is after how much of it the guard gives up.
	Silence time.Duration `json:"silence"`
	// Farewell is what the guard sends when it gives up, in the name of the process.
	Farewell []datagram `json:"farewell,omitempty"`
}

// place is an address and its interface.
type place struct {
	Prefix netip.Prefix `json:"prefix"`
	On     string       `json:"on"`
	Index  int          `json:"index"` // which another interface of that name has not
	MAC    string       `json:"mac"`   // the interface's, which may change
}

func (p place) same(o place) bool { return p.Prefix == o.Prefix && p.On == o.On && p.Index == o.Index }

// places are all addresses of a router, each on its interface as far as that is known.
func (c Config) places(l link) (list []place) {
	for _, p := range c.Addrs {
		list = append(list, place{p, l.name, l.index, l.mac})
	}
	for i, p := range c.Inside {
		var at port
		if i < len(l.inside) {
			at = l.inside[i]
		}
		list = append(list, place{p.Prefix, at.name, at.index, at.mac})
	}
	return list
}

// datagram is an advertisement ready to be sent.
type datagram struct {
	From netip.Addr `json:"from"`
	To   netip.Addr `json:"to"`
	Data []byte     `json:"data"`
}

// report is a guard's answer to an order, or, with addresses not held in a term in which
// they were, that it has given up.
type report struct {
	Term uint64 `json:"term"`
	Held bool   `json:"held"`
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
	dirty   bool   // the addresses may be there although they should not
}

// obey takes an order.
func (w ward) obey(o order, now time.Duration) (ward, deed) {
	first := !w.begun
	changed := first || !sameAddrs(w.order, o)
	w.order, w.begun, w.fresh = o, true, max(w.fresh, o.At)
	alive := now-o.At < o.Silence
	switch {
	case o.Hold && alive && o.Term > w.givenUp && (!w.held || changed):
		w.held, w.renewed = true, now
		return w, put
	case o.Hold || !w.held && !changed && !w.dirty:
		return w, nothing // tick judges what is late
	}
	w.held = false
	return w, remove
}

// silence is how long a process may say nothing. Its last advertisement may be an
// interval older than its last word to the guard, and others take over after three.
func silence(interval time.Duration) time.Duration {
	return min(silenceMax, (downFactor-1)*interval)
}

// beat is how often a process speaks, so that one word may come late.
func beat(interval time.Duration) time.Duration { return silence(interval) / 5 }

// next is when tick wants to be called; false: not at all.
func (w ward) next() (time.Duration, bool) {
	return min(w.fresh+w.order.Silence, w.renewed+renewEvery), w.held
}

// tick does what time asks for.
func (w ward) tick(now time.Duration) (ward, deed) {
	switch {
	case !w.held:
		return w, nothing
	case now >= w.fresh+w.order.Silence:
		return w.abandoned()
	case now >= w.renewed+renewEvery:
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

// sameAddrs tells whether two orders are about the same addresses in the same place.
func sameAddrs(a, b order) bool {
	return slices.EqualFunc(a.Places, b.Places, place.same)
}

// addrs are the addresses of an order.
func (o order) addrs() []netip.Prefix { return o.without(order{}) }

// without are those that another order does not have in the same place.
func (o order) without(other order) (list []netip.Prefix) {
	for _, p := range o.Places {
		if !slices.ContainsFunc(other.Places, p.same) {
			list = append(list, p.Prefix)
		}
	}
	return list
}

// sameVoice tells whether what is said of them is said by the same means, too.
func sameVoice(a, b order) bool {
	return slices.Equal(a.Places, b.Places) && a.On == b.On && a.From == b.From
}

// deadline is until when a guard has to answer.
type deadline struct {
	young bool      // it has not reported yet
	held  bool      // by its last report
	at    time.Time // zero: it owes no answer
}

// asked is that an order was given.
func (d deadline) asked(o order, now time.Time) deadline {
	at := now.Add(answerTime)
	switch {
	case d.young:
		at = now.Add(startTime)
	case o.Hold && !d.held:
		at = now.Add(takeTime)
	}
	if d.at.IsZero() || at.Before(d.at) {
		d.at = at
	}
	return d
}

func (d deadline) passed(now time.Time) bool { return !d.at.IsZero() && now.After(d.at) }
