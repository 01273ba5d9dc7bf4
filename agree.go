package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vdi-gateway/api/peer"
	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/agreement"
)

// formerKeyTime is how long the former cluster_key is understood after a change:
// other nodes may use it a moment longer.
const formerKeyTime = time.Minute

// agreed is this node as the agreement changes it.
type agreed struct{ *app }

func (a *app) own() netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.node
}

// Current is the revision in force.
func (a agreed) Current() agreement.Revision {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := agreement.Revision{
		Number: a.current.Number, Document: a.current.Settings.JSON(), Author: a.current.Author, At: a.current.At,
	}
	if a.waiting != nil {
		r.RollbackAt = a.waiting.RollbackAt
	}
	return r
}

// Known tells whether a document was in force here under this number.
func (a agreed) Known(ctx context.Context, number int64, hash agreement.Hash) bool {
	r, err := a.store.Revision(ctx, number)
	was := r.State == settingsdb.StateApplied || r.State == settingsdb.StateRolledBack
	return err == nil && was && sha256.Sum256(r.Settings.JSON()) == hash
}

// Next is the lowest number that no revision has had here.
func (a agreed) Next(ctx context.Context) (int64, error) { return a.store.Next(ctx) }

// Check says why this node cannot have the document.
func (a agreed) Check(_ context.Context, document []byte, dry bool) ([]string, error) {
	next, err := decoded(document)
	if err != nil {
		return nil, err
	}
	node, err := a.identify(next)
	if err != nil && next.IsEnabled {
		return nil, err
	}
	p, was := newPlan(next, node), a.plan()
	if err := errors.Join(a.certs.Check(p.certificate), p.acme.Check(), checkFree(p.listens(), was.listens()), a.vrrp.Check(p.vrrp)); err != nil {
		return nil, err
	}
	if !dry {
		err = a.understand(next.ClusterKey.Reveal(), p)
	}
	var wouldEnd []string
	for _, id := range a.gateway.Forbidden(p.gateway) {
		wouldEnd = append(wouldEnd, string(id))
	}
	return wouldEnd, err
}

// decoded reads a document that another node has agreed to.
func decoded(document []byte) (settingsdb.Settings, error) {
	s, problems := settingsdb.Revise(settingsdb.Default(), document)
	return s, problems.Err()
}

// plan is that of the settings in force.
func (a *app) plan() plan {
	a.mu.Lock()
	defer a.mu.Unlock()
	return newPlan(a.current.Settings, a.node, a.keys()...)
}

// understand has this node take what others seal with the key from now on, and
// reach those that have changed already.
func (a *app) understand(key string, next plan) error {
	a.mu.Lock()
	a.keep(key)
	a.mu.Unlock()
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.applyKeys(a.plan()); err != nil {
		return err
	}
	return a.cluster.change.Apply(next.cluster.peers)
}

// Apply stores a revision and tries it.
func (a agreed) Apply(ctx context.Context, r agreement.Revision) error {
	next, err := decoded(r.Document)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dbTime)
	defer cancel()
	a.changing.Lock()
	defer a.changing.Unlock()
	err = a.store.BeginAs(ctx, settingsdb.Revision{
		Number: r.Number, Settings: next, Author: r.Author, At: r.At, RollbackAt: r.RollbackAt,
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.keep(a.current.Settings.ClusterKey.Reveal())
	a.trying = true
	a.mu.Unlock()
	if err := a.apply(next); err != nil {
		a.over()
		a.reject(ctx, r.Number, err.Error())
		return err
	}
	return nil
}

// over notes that what was tried is in force, or undone.
func (a *app) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trying = false
}

// Commit puts the revision in force that was applied.
func (a agreed) Commit(ctx context.Context, r agreement.Revision, superseded bool) error {
	ctx, cancel := context.WithTimeout(ctx, dbTime)
	defer cancel()
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.store.MarkApplied(ctx, r.Number); err != nil {
		return err
	}
	_, was := a.app.Current()
	rev, err := a.store.Revision(ctx, r.Number)
	if err != nil {
		return err
	}
	a.install(rev, r.RollbackAt != nil)
	a.over()
	if superseded {
		why := fmt.Sprintf("revision %d, made while the nodes could not hear each other, took its place", r.Number)
		if err := a.store.Supersede(ctx, was, why); err != nil {
			a.log.WithError(err).Error("the revision that gave way cannot be marked in the history")
		}
	}
	return nil
}

// Undo puts the node back to what is in force.
func (a agreed) Undo(ctx context.Context, r agreement.Revision, why string) {
	ctx, cancel := context.WithTimeout(ctx, dbTime)
	defer cancel()
	a.changing.Lock()
	defer a.changing.Unlock()
	_ = a.restore() // it has said so; retry goes on
	a.over()
	a.reject(ctx, r.Number, why)
}

// Confirm has the revision in force stay. One that does not wait is no error.
func (a agreed) Confirm(ctx context.Context, number int64) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.mu.Lock()
	rev := a.waiting
	a.mu.Unlock()
	if rev == nil || rev.Number != number {
		return nil
	}
	if err := a.store.Confirm(ctx, number); err != nil {
		return err
	}
	a.mu.Lock()
	a.waiting = nil
	a.mu.Unlock()
	a.log.WithField("revision", number).Info("settings confirmed")
	return nil
}

// fellows are the other nodes as the agreement reaches them.
type fellows struct{ *cluster }

// Living are all living nodes.
func (f fellows) Living() []netip.Addr { return f.living() }

// Call asks another node. One that has changed its port or key already, or has
// gone back, is reached by the means of the other settings.
func (f fellows) Call(ctx context.Context, to netip.Addr, message []byte) ([]byte, error) {
	got, err := f.peers.Call(ctx, to, callSettings, message)
	if errors.Is(err, peer.ErrUnreachable) && ctx.Err() == nil {
		if other, again := f.change.Call(ctx, to, callSettings, message); again == nil {
			return other, nil
		}
	}
	return got, err
}
