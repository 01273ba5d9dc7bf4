package directory

import (
	"context"
	"fmt"
	"net/netip"
)

// Receive answers a message that the peer from sent by its Carrier. An error is
// for the peer: it is none, or the message is none.
func (d *Directory) Receive(_ context.Context, from netip.Addr, b []byte) ([]byte, error) {
	m, err := decodeMessage(b)
	d.mu.Lock()
	if _, known := d.links[from]; !known {
		err = fmt.Errorf("%s is not among the peers: compare internal_addrs of both nodes", from)
	}
	if err != nil {
		d.traffic.refused++
	}
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	a := d.serve(m)
	return a.encode(), nil
}

func (d *Directory) serve(m message) answer {
	d.mu.Lock()
	now := d.now()
	a := answer{outcome: done, instance: d.state.self.instance}
	switch {
	case m.what == ask:
		a.vector = d.state.vector()
	case m.what != share && m.to != a.instance:
		a.outcome = stranger
	case m.what == relay && !d.state.bulk.admit(m.from, m.complete, now):
		a.outcome = later
	}
	d.mu.Unlock()
	if m.what == ask || a.outcome != done {
		return a
	}
	d.take(m, &a)
	return a
}

// take stores what m carries.
func (d *Directory) take(m message, a *answer) {
	whole := true
	for _, i := range m.items {
		v, err := d.takeOne(i, m.what == share)
		whole = whole && (v == stored || v == stale)
		switch {
		case v == ahead:
			a.outcome = tooNew
		case m.what == share && err != nil:
			a.outcome, a.reason = refused, err.Error()
		}
	}
	if m.complete && whole {
		d.mu.Lock()
		d.state.merge(m.vector)
		d.noteComplete(m)
		d.mu.Unlock()
	}
}

// takeOne stores an item, if it is to be. A Share asks Accept even about what is
// here already, since that may have come first on another way; not about what was
// replaced meanwhile.
func (d *Directory) takeOne(i item, asked bool) (verdict, error) {
	d.order.Lock()
	defer d.order.Unlock()
	d.mu.Lock()
	v := d.state.judge(i.kind, i.entry, d.now())
	cur := d.state.current(i.kind, i.key())
	here := cur != nil && cur.from.originID == i.from.originID && cur.seq == i.seq
	d.traffic.note(v)
	d.mu.Unlock()
	var err error
	if v == stored || asked && here {
		err = d.accept(i)
	}
	if v != stored || asked && err != nil {
		return v, err
	}
	d.learn(i)
	return v, err
}

func (d *Directory) accept(i item) error {
	if i.dead || d.deps.Accept == nil {
		return nil
	}
	return d.deps.Accept(i.record())
}

// learn stores an item and tells of it.
func (d *Directory) learn(i item) {
	now := d.now()
	d.mu.Lock()
	before := d.state.get(i.kind, i.key(), now)
	seen := d.state.learn(i.kind, i.entry, now)
	d.mu.Unlock()
	if !seen || d.deps.Changed == nil {
		return
	}
	r := i.record()
	if i.dead {
		r.Value = before.record().Value
	}
	d.deps.Changed(r, i.dead)
}

// forget drops some of what has expired and tells of it.
func (d *Directory) forget() {
	d.order.Lock()
	defer d.order.Unlock()
	d.mu.Lock()
	gone := d.state.sweep(d.now())
	d.mu.Unlock()
	if d.deps.Changed == nil {
		return
	}
	for _, r := range gone {
		d.deps.Changed(r, true)
	}
}
