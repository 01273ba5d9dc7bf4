// Package relay moves bytes between a client and a VM.
//
// A Pair joins two connected legs. Each direction is copied by one goroutine;
// between two bare TCP connections the kernel splices, so no payload enters
// the process. End of stream on one leg is passed on as a half-close and the
// other direction goes on; a pair ends when both directions have ended, when a
// leg fails, when it stays silent after a half-close, or when it is killed.
//
// Join takes ownership of both legs and closes them. The end is told once, by
// Options.OnEnd, with the bytes moved and the Reason.
//
// Live counters are read from the kernel (TCP_INFO), because a splice in
// progress does not tell what it has moved.
package relay

import (
	"context"
	"net"
	"sync"
	"time"
)

// sweepEvery is how often half-closed pairs are looked at. It bounds how late
// Options.HalfClose fires.
const sweepEvery = 250 * time.Millisecond

// Options of one pair.
type Options struct {
	// HalfClose ends a pair that moved no byte for this long after one side
	// finished sending. 0: never.
	HalfClose time.Duration
	// OnEnd is called once, on a goroutine of the engine, after both legs
	// are closed. It may be nil.
	OnEnd func(Result)
}

// Result is what became of a pair.
type Result struct {
	Up, Down int64 // bytes: client to VM, VM to client
	Reason   Reason
}

// Engine owns all pairs of a node.
type Engine struct {
	wg sync.WaitGroup // one per running pair

	mu      sync.Mutex
	pairs   map[*Pair]struct{}
	halves  map[*Pair]struct{} // the pairs whose one side has finished sending
	stopped bool
}

// New returns an engine without pairs. Pairs may be joined at once; Run is
// what enforces their half-close time and ends them in the end.
func New() *Engine {
	return &Engine{pairs: map[*Pair]struct{}{}, halves: map[*Pair]struct{}{}}
}

// Run watches half-closed pairs until ctx is done, then kills all pairs with
// the reason Shutdown and returns when the last OnEnd has returned.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			e.stop()
			return nil
		case now := <-tick.C:
			e.sweep(now)
		}
	}
}

// Join starts relaying between client and vm and owns both from now on.
func (e *Engine) Join(client, vm net.Conn, opt Options) *Pair {
	p := newPair(e, client, vm, opt)
	e.mu.Lock()
	stopped := e.stopped
	if !stopped {
		e.pairs[p] = struct{}{}
		e.wg.Add(1)
	}
	e.mu.Unlock()
	if stopped {
		p.discard()
		return p
	}
	p.start()
	return p
}

// Len is the number of pairs alive.
func (e *Engine) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.pairs)
}

func (e *Engine) sweep(now time.Time) {
	e.mu.Lock()
	var late []*Pair
	for p := range e.halves {
		if p.silentTooLong(now) {
			late = append(late, p)
		}
	}
	e.mu.Unlock()
	for _, p := range late {
		p.Kill(p.firstEnd())
	}
}

func (e *Engine) stop() {
	e.mu.Lock()
	e.stopped = true
	all := make([]*Pair, 0, len(e.pairs))
	for p := range e.pairs {
		all = append(all, p)
	}
	e.mu.Unlock()
	for _, p := range all {
		p.Kill(Shutdown)
	}
	e.wg.Wait()
}

func (e *Engine) halved(p *Pair) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.halves[p] = struct{}{}
}

func (e *Engine) remove(p *Pair) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pairs, p)
	delete(e.halves, p)
}
