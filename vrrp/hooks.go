package vrrp

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// prepareTime is how long the addresses wait for Prepare.
const prepareTime = 500 * time.Millisecond

// hooks calls those of Deps from a goroutine of its own. Whoever has something called
// never waits for it.
type hooks struct {
	deps     Deps
	prepared chan uint64   // the terms whose Prepare has returned
	more     chan struct{} // capacity 1: queue or ended
	over     chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex
	queue []hook
	ended bool // nothing more comes
}

// hook is one call: of Prepare, or else of Followed.
type hook struct {
	preparation *preparation
	active      netip.Addr
}

// preparation is one call of Prepare.
type preparation struct {
	term    uint64
	by      time.Time // until when the addresses wait for it
	ctx     context.Context
	cancel  context.CancelFunc
	useless atomic.Bool // its term is over
	late    bool        // the loop's: it has had its time
}

// waits tells whether the addresses have to wait for it.
func (p *preparation) waits() bool { return p != nil && !p.late }

// until is when they do not any more; zero: they do not wait.
func (p *preparation) until() time.Time {
	if !p.waits() {
		return time.Time{}
	}
	return p.by
}

// end is that its term is over.
func (p *preparation) end() {
	p.useless.Store(true)
	p.cancel()
}

func newHooks(deps Deps) *hooks {
	return &hooks{deps: deps, prepared: make(chan uint64), more: make(chan struct{}, 1), over: make(chan struct{})}
}

// prepare has Prepare called for a term.
func (h *hooks) prepare(term uint64, by time.Time) *preparation {
	p := &preparation{term: term, by: by}
	p.ctx, p.cancel = context.WithDeadline(context.Background(), by)
	h.push(hook{preparation: p})
	return p
}

// follow has Followed called.
func (h *hooks) follow(active netip.Addr) { h.push(hook{active: active}) }

// push appends a call. What it makes pointless goes, so that the queue stays short
// however long a hook hangs.
func (h *hooks) push(next hook) {
	h.mu.Lock()
	h.queue = slices.DeleteFunc(h.queue, func(o hook) bool { return o.pointless(next) })
	h.queue = append(h.queue, next)
	h.mu.Unlock()
	h.wake()
}

// pointless tells whether a call need not be made when another one comes after it.
func (o hook) pointless(next hook) bool {
	if o.preparation != nil {
		return o.preparation.useless.Load()
	}
	return next.preparation == nil
}

func (h *hooks) wake() {
	select {
	case h.more <- struct{}{}:
	default:
	}
}

// end has the goroutine end when the calls that are due have been made, drop after the
// one that is under way.
func (h *hooks) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.wake()
}

func (h *hooks) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = nil
}

// run makes the calls. Nobody hears of prepared when done is closed.
func (h *hooks) run(done <-chan struct{}) {
	defer close(h.over)
	for {
		next, found, ended := h.pop()
		switch {
		case found:
			h.call(next, done)
		case ended:
			return
		default:
			<-h.more
		}
	}
}

func (h *hooks) pop() (next hook, found, ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		return hook{}, false, h.ended
	}
	next, h.queue = h.queue[0], h.queue[1:]
	return next, true, false
}

func (h *hooks) call(next hook, done <-chan struct{}) {
	p := next.preparation
	if p == nil {
		h.deps.Followed(next.active)
		return
	}
	defer p.cancel()
	if p.useless.Load() {
		return
	}
	h.deps.Prepare(p.ctx)
	select {
	case h.prepared <- p.term:
	case <-done:
	}
}
