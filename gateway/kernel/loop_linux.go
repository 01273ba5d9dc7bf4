package kernel

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/relay"
)

const (
	// tickEvery bounds how late timers fire.
	tickEvery = 100 * time.Millisecond
	// lingerTime is how long the entry of an ended flow stays: its last packets may have
	// to be sent again, and without it they would look like a flow that begins.
	lingerTime = 2 * time.Second
	// callTime is the same for a client whose SYN was not answered: it sends the next one
	// within that time, and is told then.
	callTime = 20 * time.Second
	// kickGrace is when a flow is over whose end was not heard of after it was kicked.
	kickGrace = 300 * time.Millisecond
	// logEvery bounds how often it is logged that rules do not take something.
	logEvery = 10 * time.Second
)

// lingering is the entry of a flow that is over.
type lingering struct {
	entry conntrack.Flow
	until time.Time
}

// request is something that is done while nobody listens: the loop listens anew and looks
// at all flows afterwards.
type request struct {
	do   func(ctx context.Context) (after func(), err error)
	done chan error
}

// ear is a listener and the goroutine that reads it.
type ear struct {
	events chan conntrack.Event
	stop   func()
	failed chan error
}

// Run carries on until ctx ends: what it knows is told to the owner, what is to end ends.
// Flows and table stay when it returns, for the next process.
func (k *Kernel) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-k.ready:
	}
	defer func() { k.kicks.going.Wait(); k.closing.Wait(); _ = k.table.Close() }()
	for ctx.Err() == nil {
		err := k.serve(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		k.deps.Log.WithError(err).Warn("the kernel's flows cannot be followed; trying again")
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// serve listens and acts until something fails.
func (k *Kernel) serve(ctx context.Context) error {
	e, err := k.listen(ctx)
	if err != nil {
		return err
	}
	defer func() { e.stop() }()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	polled := time.Now()
	if err := k.look(ctx, polled); err != nil {
		return err
	}
	for {
		k.act(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case event := <-e.events:
			err = k.hear(ctx, event)
		case err = <-e.failed:
		case r := <-k.requests:
			e.stop()
			after, failed := r.do(ctx)
			r.done <- failed
			after()
			if e, err = k.listenAgain(ctx, e); err == nil {
				err = k.look(ctx, time.Now())
			}
		case <-k.wake:
		case now := <-tick.C:
			k.timers(ctx, now)
			if now.Sub(polled) >= k.poll() {
				polled, err = now, k.look(ctx, now)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (k *Kernel) poll() time.Duration { return cmp.Or(k.config().Poll, pollEvery) }

// filter chooses flows with either of our marks.
func (k *Kernel) filter() conntrack.Filter {
	r := k.config().Rules
	return filter(r.Mark, r.Condemned)
}

// ours tells whether a flow has one of our marks, and whether it is to end.
func (k *Kernel) ours(f conntrack.Flow) (ours, condemned bool) {
	return f.Mark == k.cfg.Rules.Mark || f.Mark == k.cfg.Rules.Condemned, f.Mark == k.cfg.Rules.Condemned
}

func (k *Kernel) listen(ctx context.Context) (*ear, error) {
	var l *conntrack.Listener
	err := k.deps.Within(func() (err error) {
		l, err = conntrack.Listen(conntrack.ListenConfig{Filter: k.filter(), Buffer: k.buffer})
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &ear{events: make(chan conntrack.Event, 1024), failed: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := l.Run(ctx, func(event conntrack.Event) {
			select {
			case e.events <- event:
			case <-ctx.Done():
			}
		})
		if err != nil {
			e.failed <- err
		}
	}()
	// The kernel closes such a socket within some 20 ms, and tells it nothing any more at once.
	e.stop = sync.OnceFunc(func() { cancel(); <-ended; k.closing.Go(func() { _ = l.Close() }) })
	return e, nil
}

// listenAgain is listen; without success the old ear, stopped, is returned.
func (k *Kernel) listenAgain(ctx context.Context, old *ear) (*ear, error) {
	e, err := k.listen(ctx)
	if err != nil {
		return old, err
	}
	return e, nil
}

// act tells rules what has changed and has doomed flows kicked.
func (k *Kernel) act(ctx context.Context, now time.Time) {
	k.mu.Lock()
	changed := len(k.dirty) > 0
	k.mu.Unlock()
	if changed && !now.Before(k.refusal.again) {
		err := k.Settle()
		if k.refusal.take(err, now, time.Now()) {
			k.deps.Log.WithError(err).Warn("grants could not be told to nftables; trying again")
		}
	}
	k.punish(ctx)
}

// refusal is that rules did not take what they were told.
type refusal struct {
	again  time.Time // when they are told once more
	logged time.Time
}

// take notes how rules took something, from began to now, and tells whether to log it.
// They are tried again with the next tick, unless trying takes long.
func (r *refusal) take(err error, began, now time.Time) (log bool) {
	if err == nil {
		return false
	}
	const share = 10 // of the time goes to trying
	r.again = now.Add(max(tickEvery, share*now.Sub(began)))
	if !r.logged.IsZero() && now.Sub(r.logged) < logEvery {
		return false
	}
	r.logged = now
	return true
}

// timers ends what is due, and takes away entries that have lingered.
func (k *Kernel) timers(ctx context.Context, now time.Time) {
	var lost []*Flow
	k.mu.Lock()
	for _, f := range k.flows {
		l := f.life
		l.active = f.active(now)
		if why := l.due(now, k.cfg.Dial, k.cfg.HalfClose); why != "" {
			f.life.silent = f.life.phase == calling
			f.doom(why)
		}
		if !f.kicked.IsZero() && now.Sub(f.kicked) > kickGrace {
			lost = append(lost, f)
		}
	}
	done := len(k.flows) == 0
	k.mu.Unlock()
	for _, f := range lost {
		k.happened(ctx, f, conntrack.Event{Kind: conntrack.Destroy, Flow: f.named()}, now)
	}
	k.sweep(ctx, now)
	if done {
		k.retire() // where it is disabled
	}
}

func (k *Kernel) sweep(ctx context.Context, now time.Time) {
	var old []conntrack.Flow
	k.linger = slices.DeleteFunc(k.linger, func(l lingering) bool {
		due := !now.Before(l.until)
		if due {
			old = append(old, l.entry)
		}
		return due
	})
	if len(old) == 0 {
		return
	}
	if _, err := k.table.Delete(ctx, old...); err != nil && ctx.Err() == nil {
		k.deps.Log.WithError(err).Warn("entries of flows that have ended could not be removed")
	}
}

// retire takes the table away when the data path is disabled and nothing lives by it.
func (k *Kernel) retire() {
	k.changing.Lock()
	defer k.changing.Unlock()
	enabled := k.config().Enabled
	if enabled || k.retired {
		k.retired = !enabled
		return
	}
	k.retired = true
	if err := k.deps.Within(k.rules.Delete); err != nil {
		k.deps.Log.WithError(err).Warn("the table of nftables could not be removed")
	}
}

// Delete takes the table away, and with it whatever lives by it: for who gives the data
// path up. Call it after Run has returned.
func (k *Kernel) Delete() error {
	k.changing.Lock()
	defer k.changing.Unlock()
	k.mu.Lock()
	never := k.table == nil
	k.mu.Unlock()
	if never {
		return nil
	}
	return k.deps.Within(k.rules.Delete)
}

var errNotRunning = errors.New("the data path is not enabled, or does not run")

// ask has the loop do something while nobody listens.
func (k *Kernel) ask(ctx context.Context, do func(context.Context) (func(), error)) error {
	select {
	case <-k.ready:
	default:
		return errNotRunning
	}
	r := request{do: do, done: make(chan error, 1)}
	select {
	case k.requests <- r:
		return <-r.done
	case <-ctx.Done():
		return errors.Join(errNotRunning, ctx.Err())
	}
}

// result is what the owner hears of an end.
func (f *Flow) result(v verdict) relay.Result {
	return relay.Result{Up: f.up, Down: f.down, Reason: v.reason, Err: v.err}
}
