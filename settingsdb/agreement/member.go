package agreement

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
)

// Receive answers a message that the node from sent by its Peers.
func (a *Agreement) Receive(ctx context.Context, from netip.Addr, b []byte) ([]byte, error) {
	m, err := decode[message](b)
	if err != nil {
		return nil, fmt.Errorf("a message about settings is not understood: %w", err)
	}
	got, err := a.serve(ctx, m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(got)
}

// serve does what a message asks of this node, be it from another or its own.
func (a *Agreement) serve(ctx context.Context, m message) (answer, error) {
	switch m.Kind {
	case kindAsk:
		current := a.node.Current()
		known := m.State.same(stateOf(current)) || a.node.Known(ctx, m.State.Number, m.State.Hash)
		return answer{State: stateOf(current), Known: known, Waiting: current.RollbackAt != nil}, nil
	case kindFetch:
		r := a.node.Current()
		return answer{State: stateOf(r), Proposal: proposal{
			Number: r.Number, Document: r.Document, Author: r.Author, At: r.At, RollbackAt: r.RollbackAt,
		}}, nil
	}
	// A node that is asked to change goes through with it, whoever hangs up.
	ctx = context.WithoutCancel(ctx)
	a.acting.Lock()
	defer a.acting.Unlock()
	switch m.Kind {
	case kindPrepare:
		return a.prepare(ctx, m.Proposal), nil
	case kindApply:
		return a.apply(ctx, m.Proposal), nil
	case kindFinish:
		return a.finish(ctx, m), nil
	case kindConfirm:
		return answer{}, a.node.Confirm(ctx, m.State.Number)
	}
	return answer{}, fmt.Errorf("a message about settings of a kind %.20q that this version does not know", m.Kind)
}

// prepare takes the lease and checks what only this node can.
func (a *Agreement) prepare(ctx context.Context, p proposal) answer {
	current := a.node.Current()
	got := answer{State: stateOf(current)}
	if !p.Dry {
		if got.Busy = !a.bind(p, current); got.Busy {
			return got
		}
	}
	var err error
	if got.WouldEnd, err = a.node.Check(ctx, p.Document, p.Dry); err == nil {
		got.Next, err = a.node.Next(ctx)
	}
	if err != nil {
		got.Reason = err.Error()
		a.release(p.ID)
	}
	return got
}

// bind takes the lease for a change of what is in force; false when there is
// another one, when something else is in force, or waits to be confirmed.
func (a *Agreement) bind(p proposal, current Revision) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.lease != nil && (a.lease.applied || now.Before(a.lease.until)) {
		return false
	}
	if !p.Merge && (!p.Base.same(stateOf(current)) || current.RollbackAt != nil) {
		a.poke()
		return false
	}
	a.lease = &lease{proposal: p, until: now.Add(leaseTime)}
	return true
}

func (a *Agreement) release(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lease != nil && a.lease.ID == id {
		a.lease = nil
	}
}

// bound is this node's lease for the change; nil when it has ended.
func (a *Agreement) bound(id string) *lease {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lease == nil || a.lease.ID != id {
		return nil
	}
	a.lease.until = a.now().Add(leaseTime)
	return a.lease
}

// apply tries the change.
func (a *Agreement) apply(ctx context.Context, p proposal) answer {
	l := a.bound(p.ID)
	if l == nil {
		return answer{Reason: "the lease for the change has ended"}
	}
	a.mu.Lock()
	l.Number = p.Number
	a.mu.Unlock()
	if err := a.node.Apply(ctx, l.revision()); err != nil {
		a.release(p.ID)
		return answer{Reason: err.Error()}
	}
	a.mu.Lock()
	l.applied = true
	a.mu.Unlock()
	return answer{}
}

// finish puts the change in force, or undoes it. A node whose lease has ended
// catches up.
func (a *Agreement) finish(ctx context.Context, m message) answer {
	l := a.bound(m.Proposal.ID)
	switch {
	case l == nil:
		a.poke()
		return answer{}
	case !l.applied:
	case m.Commit:
		if err := a.commit(ctx, l); err != nil {
			a.node.Undo(ctx, l.revision(), err.Error())
			a.release(l.ID)
			return answer{Reason: err.Error()}
		}
	default:
		a.node.Undo(ctx, l.revision(), m.Why)
	}
	a.release(l.ID)
	return answer{}
}

// commit puts a change in force. A merge takes the place of what the others do
// not know.
func (a *Agreement) commit(ctx context.Context, l *lease) error {
	was := a.node.Current()
	superseded := l.Merge && was.Hash() != l.revision().Hash()
	if err := a.node.Commit(ctx, l.revision(), superseded); err != nil {
		return err
	}
	if superseded {
		a.note(was, l.revision())
	}
	return nil
}

// note remembers what was given up, for people.
func (a *Agreement) note(was, now Revision) {
	a.mu.Lock()
	a.lost = fmt.Sprintf("revision %d of the settings, made here by %s at %s, gave way to revision %d by %s, made while the nodes could not hear each other",
		was.Number, was.Author, was.At.UTC().Format("2006-01-02 15:04:05"), now.Number, now.Author)
	text := a.lost
	a.mu.Unlock()
	a.log.WithField("revision", now.Number).Warn(text)
}
