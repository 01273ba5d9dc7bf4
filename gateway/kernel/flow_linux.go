package kernel

import (
	"net/netip"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/relay"
)

// Flow is a connection that the kernel carries. It is a relay.Pair.
type Flow struct {
	kernel *Kernel
	entry  conntrack.Flow // as it was first seen
	// Adopted tells that another process or node has begun it.
	Adopted bool
	begun   bool // this node's kernel has counted its first packets

	// The Kernel's lock guards these.
	life        life
	grant       *granted
	class       int  // the limit of rules that the kernel counts it under; 0: none
	replaceable bool // it began before the client asked again
	refused     bool // its owner knows nothing of it, or no more
	spread      bool // the directory knows it
	plain       bool // its packets have no timestamps
	up, down    int64
	noted       time.Time // when this process came to know it
	kicked      time.Time // zero: not yet
}

// named is the flow's entry, and no later one of the same ends.
func (f *Flow) named() conntrack.Flow {
	e := f.entry
	e.ID = f.life.id
	return e
}

// Client is whose flow it is.
func (f *Flow) Client() netip.AddrPort { return f.entry.Client() }

// Port is the one of the virtual address.
func (f *Flow) Port() uint16 { return f.entry.Virtual().Port() }

// VM is where it leads.
func (f *Flow) VM() netip.AddrPort { return f.entry.VM() }

// Since is when it began, wherever that was.
func (f *Flow) Since() time.Time {
	f.kernel.mu.Lock()
	defer f.kernel.mu.Unlock()
	return f.life.born
}

// Kill ends the flow at both ends at once, with a reset. The first reason stands. It does
// not wait.
func (f *Flow) Kill(why relay.Reason) {
	f.kernel.mu.Lock()
	f.doom(why)
	f.kernel.mu.Unlock()
}

// doom is Kill for who has the lock.
func (f *Flow) doom(why relay.Reason) {
	if f.life.doomed != "" || f.life.phase == over {
		return
	}
	f.life.doomed = why
	f.kernel.kills = append(f.kernel.kills, f)
	f.kernel.nudge()
}

// Stats are those of the last look at the counters (Config.Poll). RTT is not known.
func (f *Flow) Stats() relay.Stats {
	f.kernel.mu.Lock()
	defer f.kernel.mu.Unlock()
	return relay.Stats{Up: f.up, Down: f.down, LastActivity: f.active(time.Now())}
}

// active is when something moved last, as far as can be known. What moved when it was
// looked is moving until the next look says otherwise: who is in use must not pass for idle
// because nobody looks. The caller holds the lock.
func (f *Flow) active(now time.Time) time.Time {
	if f.life.active.Before(f.kernel.looked) {
		return f.life.active
	}
	return now
}

// Bytes are those of Stats.
func (f *Flow) Bytes() (up, down int64) {
	s := f.Stats()
	return s.Up, s.Down
}

// count takes the counters of the flow's entry.
func (f *Flow) count(e conntrack.Flow, now time.Time) {
	if !e.Counted {
		return
	}
	is4 := e.Orig.Is4()
	both := func() (up, down int64) {
		return payload(e.Sent, is4, f.plain, f.begun), payload(e.Back, is4, f.plain, f.begun)
	}
	up, down := both()
	if !f.plain && (up < 0 || down < 0) {
		f.plain = true
		up, down = both()
	}
	up, down = max(up, f.up), max(down, f.down)
	if up+down > f.up+f.down {
		f.life.active = now
	}
	f.up, f.down = up, down
}
