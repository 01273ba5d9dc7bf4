package kernel

import (
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
	var kicks sync.WaitGroup
	defer func() { kicks.Wait(); _ = k.table.Close() }()
	for ctx.Err() == nil {
		err := k.serve(ctx, &kicks)
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
func (k *Kernel) serve(ctx context.Context, kicks *sync.WaitGroup) error {
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
		k.act(ctx, kicks)
		select {
		case <-ctx.Done():
			return nil
		case event := <-e.events:
			err = k.hear(ctx, event)
		case err = <-e.failed:
		case flows := <-k.kicked:
			k.wasKicked(flows)
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

func (k *Kernel) poll() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cfg.Poll > 0 {
		return k.cfg.Poll
	}
	return pollEvery
}

// filter chooses flows with either of our marks.
func (k *Kernel) filter() conntrack.Filter {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.cfg.Rules
	return conntrack.Filter{Mark: r.Mark, Mask: ^(r.Mark ^ r.Condemned)}
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
	e.stop = sync.OnceFunc(func() { cancel(); <-ended; _ = l.Close() })
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

// act has doomed flows kicked and tells rules what has changed. A kick may take long, for
// an end that is gone, and holds up no other.
func (k *Kernel) act(ctx context.Context, kicks *sync.WaitGroup) {
	k.mu.Lock()
	flows := k.kills
	k.kills = nil
	var calls, entries []conntrack.Flow
	for _, f := range flows {
		if f.life.phase == calling {
			calls = append(calls, f.named())
		} else {
			entries = append(entries, f.named())
		}
	}
	mark := k.cfg.Rules.Condemned
	changed := len(k.dirty) > 0
	k.mu.Unlock()
	if changed {
		k.changing.Lock()
		err := k.commit()
		k.changing.Unlock()
		if err != nil {
			k.deps.Log.WithError(err).Warn("limits of grants could not be changed")
		}
	}
	if len(flows) == 0 {
		return
	}
	kicks.Go(func() {
		err := k.kick(ctx, mark, calls, entries)
		if err != nil && ctx.Err() == nil {
			k.deps.Log.WithError(err).Warn("flows could not be reset")
		}
		select {
		case k.kicked <- flows:
		case <-ctx.Done():
		}
	})
}

// kick ends flows at both ends. A client whose SYN is unanswered takes a SYN for its
// answer, and then sends nothing any more that conntrack would know. So such a flow is only
// marked: the SYN that its client sends next is answered with a reset.
func (k *Kernel) kick(ctx context.Context, mark uint32, calls, entries []conntrack.Flow) error {
	if _, err := k.table.SetMark(ctx, mark, calls...); err != nil {
		return err
	}
	for _, f := range calls {
		now, err := k.table.Get(ctx, f)
		if err == nil && now.State != conntrack.SynSent { // the VM was faster
			entries = append(entries, f)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return k.deps.Within(func() error {
		failed, err := k.table.Kick(ctx, mark, entries...)
		for _, f := range failed {
			k.deps.Log.WithError(f).Debug("an end of a flow was not seen to be reset")
		}
		return err
	})
}

func (k *Kernel) wasKicked(flows []*Flow) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range flows {
		f.kicked = now
	}
}

// timers ends what is due, and takes away entries that have lingered.
func (k *Kernel) timers(ctx context.Context, now time.Time) {
	var lost []*Flow
	k.mu.Lock()
	for _, f := range k.flows {
		if why := f.life.due(now, k.cfg.Dial, k.cfg.HalfClose); why != "" {
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
	k.mu.Lock()
	enabled := k.cfg.Enabled
	k.mu.Unlock()
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
