package main

import (
	"context"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/settingsdb"
)

// Current returns the applied settings and their revision.
func (a *app) Current() (settingsdb.Settings, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current.Settings, a.current.Number
}

// Change lays a posted document over the settings, checks it as a whole and
// applies it on this node, or changes nothing.
func (a *app) Change(ctx context.Context, r api.ChangeRequest) (api.ChangeResult, error) {
	if !a.changing.TryLock() {
		return api.ChangeResult{}, api.ErrChangeInProgress
	}
	defer a.changing.Unlock()
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
		Warnings: settingsdb.Warnings(next),
	}
	for _, id := range a.gateway.Forbidden(planGateway(next, node)) {
		result.WouldEnd = append(result.WouldEnd, string(id))
	}
	switch {
	case r.DryRun:
		return result, nil
	case waiting:
		return api.ChangeResult{}, api.ErrChangeInProgress
	}
	result.Applied = true
	if len(result.Changed) == 0 {
		return result, nil
	}
	return a.commit(ctx, next, r, result)
}

// commit stores the revision, applies it, and only then lets it be the one a
// restart takes.
func (a *app) commit(ctx context.Context, next settingsdb.Settings, r api.ChangeRequest, result api.ChangeResult) (api.ChangeResult, error) {
	// A client that hangs up does not leave a change half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTime)
	defer cancel()
	if r.Confirm > 0 {
		at := time.Now().Add(r.Confirm).UTC().Truncate(time.Millisecond)
		result.RollbackAt = &at
	}
	rev, err := a.store.Begin(ctx, next, r.Author, result.RollbackAt)
	if err != nil {
		return api.ChangeResult{}, a.rejected(err)
	}
	if err := a.apply(next); err != nil {
		a.reject(ctx, rev, err)
		return api.ChangeResult{}, a.rejected(err)
	}
	if err := a.store.MarkApplied(ctx, rev.Number); err != nil {
		a.reject(ctx, rev, err)
		return api.ChangeResult{}, a.rejected(a.restore(err))
	}
	a.install(rev, result.RollbackAt != nil)
	a.log.WithField("revision", rev.Number).WithField("changed", result.Changed).
		WithField("author", r.Author).Info("settings changed")
	result.Revision = rev.Number
	return result, nil
}

func (a *app) install(rev settingsdb.Revision, waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, a.waiting = rev, nil
	if waits {
		a.waiting = &rev
	}
}

// restore puts the parts back to the current settings after a change that
// could not be stored.
func (a *app) restore(why error) error {
	s, _ := a.Current()
	if err := a.apply(s); err != nil {
		a.log.WithError(err).Error("the former settings cannot be applied again")
	}
	return why
}

func (a *app) reject(ctx context.Context, rev settingsdb.Revision, why error) {
	a.log.WithError(why).WithField("revision", rev.Number).Warn("settings change rejected; nothing changed")
	if err := a.store.MarkRejected(ctx, rev.Number, why.Error()); err != nil {
		a.log.WithError(err).Error("the rejected revision cannot be marked in the history")
	}
}

func (a *app) rejected(why error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &api.NodeRejected{Node: nodeName(a.current.Settings, a.node), Reason: why.Error()}
}

// nodeName is what this node is called in answers; the first one of the
// document stands for a host that is none of them.
func nodeName(s settingsdb.Settings, node interface {
	IsValid() bool
	String() string
},
) string {
	if node.IsValid() || len(s.InternalAddrs) == 0 {
		return node.String()
	}
	return s.InternalAddrs[0]
}

// Confirm keeps a change that would otherwise be rolled back by itself.
func (a *app) Confirm(ctx context.Context) (int64, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.mu.Lock()
	rev := a.waiting
	a.mu.Unlock()
	if rev == nil {
		return 0, api.ErrNothingToConfirm
	}
	if err := a.store.Confirm(ctx, rev.Number); err != nil {
		return 0, a.rejected(err)
	}
	a.mu.Lock()
	a.waiting = nil
	a.mu.Unlock()
	a.log.WithField("revision", rev.Number).Info("settings confirmed")
	return rev.Number, nil
}

func (a *app) rollBackWhenDue(ctx context.Context, now time.Time) {
	a.mu.Lock()
	due := a.waiting != nil && !now.Before(*a.waiting.RollbackAt) && now.Sub(a.rolled) >= retryEvery
	if due {
		a.rolled = now
	}
	a.mu.Unlock()
	if !due {
		return
	}
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
		return a.restore(err)
	}
	if err := a.store.RollBack(ctx, rev.Number, unconfirmed.Number, "not confirmed in time"); err != nil {
		a.reject(ctx, rev, err)
		return a.restore(err)
	}
	a.install(rev, false)
	a.log.WithField("revision", rev.Number).WithField("unconfirmed", unconfirmed.Number).
		Warn("settings rolled back: nobody confirmed the change in time")
	return nil
}
