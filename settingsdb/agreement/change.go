package agreement

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Request is a change that somebody asks for.
type Request struct {
	Document   []byte
	Author     string
	RollbackAt *time.Time // nil: it stays
	// Base is the number of the revision that the document was made of. 0: any.
	Base int64
	// Among are the nodes that will have the document: those that the change
	// removes are not asked. nil: all.
	Among []netip.Addr
	// Dry checks only.
	Dry bool
	// merge is for the winner of two halves.
	merge bool
}

// Outcome is what became of a change.
type Outcome struct {
	Number   int64
	Nodes    []netip.Addr // that have it in force
	Late     []netip.Addr // that have not said so, and catch up
	WouldEnd []string     // connections that it forbids, on all nodes
}

// Change makes a document the one in force on all living nodes, or changes
// nothing: ErrBusy, ErrMoved, or a *Rejected. Who hangs up does not leave it half-way.
func (a *Agreement) Change(ctx context.Context, r Request) (Outcome, error) {
	ctx = context.WithoutCancel(ctx)
	nodes, current := a.members(r.Among), a.node.Current()
	if r.Base != 0 && r.Base != current.Number {
		return Outcome{}, ErrMoved
	}
	p := proposal{
		ID: rand.Text(), Base: stateOf(current), Merge: r.merge, Dry: r.Dry,
		Document: r.Document, Author: r.Author, At: a.now().UTC(), RollbackAt: r.RollbackAt,
	}
	next, wouldEnd, err := a.prepareAll(ctx, nodes, p)
	if err != nil || r.Dry {
		return Outcome{WouldEnd: wouldEnd}, err
	}
	p.Number = next
	if err := a.applyAll(ctx, nodes, p); err != nil {
		return Outcome{}, err
	}
	out, err := a.finishAll(ctx, nodes, p)
	out.WouldEnd = wouldEnd
	return out, err
}

// prepareAll takes the leases, one after the other.
func (a *Agreement) prepareAll(ctx context.Context, nodes []netip.Addr, p proposal) (next int64, wouldEnd []string, err error) {
	for i, n := range nodes {
		got, err := a.send(ctx, n, message{Kind: kindPrepare, Proposal: p})
		switch {
		case err != nil:
			err = &Rejected{n, err.Error()}
		case got.Busy:
			err = ErrBusy
		case got.Reason != "":
			err = &Rejected{n, got.Reason}
		}
		if err != nil {
			a.undo(ctx, nodes[:i+1], p, err)
			a.poke() // this node may be the one that is behind
			return 0, nil, err
		}
		next, wouldEnd = max(next, got.Next), append(wouldEnd, got.WouldEnd...)
	}
	return next, wouldEnd, nil
}

// undo ends the leases of a change that cannot be. Nodes that do not hear of it
// undo it when theirs has ended.
func (a *Agreement) undo(ctx context.Context, nodes []netip.Addr, p proposal, why error) {
	if p.Dry {
		return
	}
	_, _ = a.all(ctx, nodes, message{Kind: kindFinish, Proposal: proposal{ID: p.ID}, Why: why.Error()})
}

// applyAll tries the change on all nodes at once, and last on this one: what it
// says after that may have to go by another port or key.
func (a *Agreement) applyAll(ctx context.Context, nodes []netip.Addr, p proposal) error {
	own := a.own()
	others := slices.DeleteFunc(slices.Clone(nodes), func(n netip.Addr) bool { return n == own })
	m := message{Kind: kindApply, Proposal: proposal{ID: p.ID, Number: p.Number}}
	answers, err := a.all(ctx, others, m)
	if err == nil {
		err = firstReason(answers)
	}
	if err == nil {
		answers, _ = a.all(ctx, []netip.Addr{own}, m) // never fails
		err = firstReason(answers)
	}
	if err != nil {
		a.undo(ctx, nodes, p, err)
	}
	return err
}

func firstReason(answers map[netip.Addr]answer) error {
	for n, got := range answers {
		if got.Reason != "" {
			return &Rejected{n, got.Reason}
		}
	}
	return nil
}

// finishAll puts the change in force here, which decides, and then on the others.
func (a *Agreement) finishAll(ctx context.Context, nodes []netip.Addr, p proposal) (Outcome, error) {
	own := a.own()
	m := message{Kind: kindFinish, Proposal: proposal{ID: p.ID}, Commit: true}
	got, err := a.send(ctx, own, m)
	if err == nil && got.Reason != "" {
		err = &Rejected{own, got.Reason}
	}
	if err != nil {
		a.undo(ctx, nodes, p, err)
		return Outcome{}, err
	}
	out := Outcome{Number: p.Number, Nodes: []netip.Addr{own}}
	others := slices.DeleteFunc(slices.Clone(nodes), func(n netip.Addr) bool { return n == own })
	answers, _ := a.all(ctx, others, m) // who gave none is late
	for _, n := range others {
		if got, ok := answers[n]; ok && got.Reason == "" {
			out.Nodes = append(out.Nodes, n)
		} else {
			out.Late = append(out.Late, n)
		}
	}
	return out, nil
}

// Confirm has the revision in force stay, on all living nodes. Those that do not
// hear of it ask before they go back.
func (a *Agreement) Confirm(ctx context.Context) (int64, error) {
	ctx = context.WithoutCancel(ctx)
	current := stateOf(a.node.Current())
	m := message{Kind: kindConfirm, State: current}
	if _, err := a.send(ctx, a.own(), m); err != nil {
		return 0, err
	}
	_, _ = a.all(ctx, a.members(nil), m)
	return current.Number, nil
}

// all asks nodes at once. The error is a *Rejected of one that gave no answer.
func (a *Agreement) all(ctx context.Context, nodes []netip.Addr, m message) (map[netip.Addr]answer, error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	answers, silent := map[netip.Addr]answer{}, error(nil)
	for _, n := range nodes {
		group.Go(func() {
			got, err := a.send(ctx, n, m)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = &Rejected{n, err.Error()}
				return
			}
			answers[n] = got
		})
	}
	group.Wait()
	return answers, silent
}

// send asks one node, which may be this one.
func (a *Agreement) send(ctx context.Context, to netip.Addr, m message) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if to == a.own() {
		return a.serve(ctx, m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return answer{}, err
	}
	if b, err = a.peers.Call(ctx, to, b); err != nil {
		return answer{}, errors.Join(errors.New("it gives no answer"), err)
	}
	return decode[answer](b)
}
