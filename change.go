package main

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/agreement"
)

// Current returns the applied settings and their revision.
func (a *app) Current() (settingsdb.Settings, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current.Settings, a.current.Number
}

// moveTries is how often a change is made anew of settings that another one has
// changed meanwhile.
const moveTries = 5

// Change lays a posted document over the settings, checks it as a whole and
// applies it on all living nodes, or changes nothing.
func (a *app) Change(ctx context.Context, r api.ChangeRequest) (api.ChangeResult, error) {
	for range moveTries {
		result, err := a.changeNow(ctx, r)
		if !errors.Is(err, agreement.ErrMoved) {
			return result, err
		}
	}
	return api.ChangeResult{}, api.ErrChangeInProgress
}

// changeNow changes the settings in force; agreement.ErrMoved when those are others
// before it comes to that.
func (a *app) changeNow(ctx context.Context, r api.ChangeRequest) (api.ChangeResult, error) {
	a.mu.Lock()
	was, waiting, node := a.current, a.waiting != nil, a.node
	a.mu.Unlock()
	if r.IfMatch != nil && *r.IfMatch != was.Number {
		return api.ChangeResult{}, api.ErrRevisionMismatch
	}
	next, problems := settingsdb.Revise(was.Settings, r.Body)
	if len(problems) > 0 {
		return api.ChangeResult{}, problems
	}
	result := api.ChangeResult{
		Revision: was.Number, Changed: settingsdb.Changed(was.Settings, next),
		Nodes:    map[string]string{nodeName(was.Settings, node): "ok"},
		Warnings: append(settingsdb.Warnings(next), lockedOut(next, r.Caller)...),
	}
	switch {
	case waiting && !r.DryRun:
		return api.ChangeResult{}, api.ErrChangeInProgress
	case len(result.Changed) == 0:
		result.Applied = !r.DryRun
		return result, nil
	}
	return a.agree(ctx, was.Number, next, r, result)
}

// agree has all nodes change from the revision base.
func (a *app) agree(ctx context.Context, base int64, next settingsdb.Settings, r api.ChangeRequest, result api.ChangeResult) (api.ChangeResult, error) {
	if r.Confirm > 0 && !r.DryRun {
		at := time.Now().Add(r.Confirm).UTC().Truncate(time.Millisecond)
		result.RollbackAt = &at
	}
	out, err := a.agreement.Change(ctx, agreement.Request{
		Base: base, Document: next.JSON(), Author: r.Author, RollbackAt: result.RollbackAt, Among: nodesOf(next), Dry: r.DryRun,
	})
	if err != nil {
		return api.ChangeResult{}, a.refusal(err)
	}
	result.WouldEnd = out.WouldEnd
	if !r.DryRun {
		result.Applied, result.Revision, result.Nodes = true, out.Number, a.nodeLines(next, out)
		a.log.WithField("revision", out.Number).WithField("changed", result.Changed).
			WithField("author", r.Author).Info("settings changed")
	}
	return result, nil
}

// nodeLines says of every node of the document whether it has it.
func (a *app) nodeLines(s settingsdb.Settings, out agreement.Outcome) map[string]string {
	lines := map[string]string{}
	for _, n := range nodesOf(s) {
		lines[n.String()] = "not reached: catches up when it is back"
	}
	for _, n := range out.Nodes {
		lines[nodeName(s, n)] = "ok"
	}
	return lines
}

// refusal is what a change that was not made is answered with.
func (a *app) refusal(err error) error {
	var rejected *agreement.Rejected
	switch {
	case errors.As(err, &rejected):
		s, _ := a.Current()
		return &api.NodeRejected{Node: nodeName(s, rejected.Node), Reason: rejected.Reason}
	case errors.Is(err, agreement.ErrBusy):
		return api.ErrChangeInProgress
	}
	return err
}

// nodeName is what this node is called in answers; the first one of the
// document stands for a host that is none of them.
func nodeName(s settingsdb.Settings, node netip.Addr) string {
	if node.IsValid() || len(s.InternalAddrs) == 0 {
		return node.String()
	}
	return s.InternalAddrs[0]
}

// Confirm keeps a change that would otherwise be rolled back by itself.
func (a *app) Confirm(ctx context.Context) (int64, error) {
	a.mu.Lock()
	waiting := a.waiting != nil
	a.mu.Unlock()
	if !waiting {
		return 0, api.ErrNothingToConfirm
	}
	number, err := a.agreement.Confirm(ctx)
	if err != nil {
		return 0, a.refusal(&agreement.Rejected{Node: a.own(), Reason: err.Error()})
	}
	return number, nil
}

func (a *app) rollBackWhenDue(ctx context.Context, now time.Time) {
	a.mu.Lock()
	due := a.joined && !a.trying && a.waiting != nil && !now.Before(*a.waiting.RollbackAt) && now.Sub(a.rolled) >= retryEvery
	if due {
		a.rolled = now
	}
	a.mu.Unlock()
	if !due || a.agreement.Busy() {
		return
	}
	a.agreement.Look(ctx) // somebody may have confirmed it at another node
	a.changing.Lock()
	defer a.changing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, dbTime)
	defer cancel()
	if err := a.rollBack(ctx, a.apply); err != nil {
		a.log.WithError(err).Error("settings cannot be rolled back; trying again")
	}
}

// rollBack issues the document before the unconfirmed change as a revision of
// its own and applies it.
func (a *app) rollBack(ctx context.Context, apply func(settingsdb.Settings) error) error {
	a.mu.Lock()
	unconfirmed := a.waiting
	a.mu.Unlock()
	if unconfirmed == nil { // confirmed in the meantime
		return nil
	}
	former, err := a.store.Revision(ctx, unconfirmed.Previous)
	if err != nil {
		return err
	}
	// Attempts that fail leave no revision, for they may be many.
	if err := apply(former.Settings); err != nil {
		return err
	}
	rev, err := a.store.Begin(ctx, former.Settings, "rollback", nil)
	if err != nil {
		return errors.Join(err, a.restore())
	}
	if err := a.store.RollBack(ctx, rev.Number, unconfirmed.Number, "not confirmed in time"); err != nil {
		a.reject(ctx, rev.Number, err.Error())
		return errors.Join(err, a.restore())
	}
	a.install(rev, false)
	a.log.WithField("revision", rev.Number).WithField("unconfirmed", unconfirmed.Number).
		Warn("settings rolled back: nobody confirmed the change in time")
	return nil
}

// restore puts the parts back to the settings in force.
func (a *app) restore() error {
	s, _ := a.Current()
	err := a.apply(s)
	if err != nil {
		a.log.WithError(err).Error("the former settings cannot be applied again")
	}
	return err
}

func (a *app) install(rev settingsdb.Revision, waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, a.waiting = rev, nil
	if waits {
		a.waiting = &rev
	}
}

func (a *app) reject(ctx context.Context, number int64, why string) {
	a.log.WithField("reason", why).WithField("revision", number).Warn("settings change rejected; nothing changed")
	if err := a.store.MarkRejected(ctx, number, why); err != nil {
		a.log.WithError(err).Error("the rejected revision cannot be marked in the history")
	}
}
