// Package relay moves bytes between a client and a VM.
//
// Join takes two connected legs, owns them from then on and closes them. The
// end of one stream is passed on as a half-close and the other direction goes
// on; a Pair ends when both directions have ended, when a leg fails, when it
// stays silent after a half-close, or when it is killed. The end is told once,
// by Options.OnEnd, with the bytes moved and the Reason.
//
// Listen opens a door: for every client that knocks its owner says where it wants
// to go, and the engine accepts, dials and joins without a goroutine of its own
// for each (door.go).
//
// On Linux two TCP legs become a flow on one of a few loops (loop_linux.go):
// an epoll instance and its goroutine. A flow copies through the loop's one
// buffer while its data is small, and splices through a borrowed pipe while a
// stream is fast (stream_linux.go, pipes_linux.go). While it idles it holds two
// descriptors and some hundred bytes, and no goroutine, buffer or pipe. All
// other legs are copied by two goroutines (copied.go).
//
// A client may be a frames.Stream: over bare TCP it is a flow as well, whose frames
// the loop takes apart and makes (framed_linux.go); over TLS, or with something around
// it that has a NetConn, it is copied. Such a client is pinged, and told of the end by
// a close frame with the Reason: also when its pair is killed.
package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
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
	// OnEnd is called once, on a goroutine of the engine that moves bytes of
	// others too, after both legs are closed. It must not block and may be
	// nil.
	OnEnd func(Result)
	// Ping is the time between two pings of a client whose bytes come in frames
	// (frames.Stream). 0: none.
	Ping time.Duration
	// Pong is what such a client has to show life in after a ping. 0: ten seconds.
	Pong time.Duration
	// Tag is the owner's own name for the pair, for when it is handed over to
	// another process.
	Tag string
}

// Result is what became of a pair.
type Result struct {
	Up, Down int64 // bytes: client to VM, VM to client
	Reason   Reason
	Err      error // why a Call's VM was not reached; nil when it was
}

// ErrKilled is the Err of a Call that was killed before its VM was reached.
var ErrKilled = errors.New("killed before the VM answered")

// Pair is a client and a VM joined by an engine.
type Pair interface {
	// Kill ends the pair at once with the given reason: TCP legs are reset; a
	// client with frames has a moment to take its close frame.
	// The first reason stands. It may return before OnEnd is called.
	Kill(why Reason)
	// Stats reads the live figures. It is safe at any time, also after the
	// end.
	Stats() Stats
	// Bytes are those of Stats, without asking the kernel for the rest.
	Bytes() (up, down int64)
}

// Stats are live figures of a pair.
type Stats struct {
	Up, Down     int64         // bytes
	LastActivity time.Time     // last byte either way; the start if none came
	RTT          time.Duration // of the client leg; 0: not known
}

// Engine owns all pairs of a node.
type Engine struct {
	// Admit decides about everybody who comes to a door, before Knock is asked: by
	// the address that a PROXY header names, where there is one. It must not block.
	// nil: all. Set it before the first door is opened.
	Admit func(client netip.Addr) bool

	copying bool           // no loops
	wg      sync.WaitGroup // one per running pair
	loops   loops

	mu      sync.Mutex
	pairs   map[*copied]struct{}
	halves  map[*copied]struct{} // those whose one side has finished sending
	stopped bool
}

// New returns an engine without pairs. Pairs may be joined at once; flows move
// from the moment Run is called.
func New() *Engine {
	return &Engine{pairs: map[*copied]struct{}{}, halves: map[*copied]struct{}{}}
}

// NewCopying returns an engine that has no loops and copies every pair by
// goroutines, as all engines do where epoll cannot be had. It is for tests and
// for comparing.
func NewCopying() *Engine {
	e := New()
	e.copying = true
	return e
}

// Run serves all pairs until ctx is done, then kills them with the reason
// Shutdown and returns when the last OnEnd has returned.
func (e *Engine) Run(ctx context.Context) error {
	wait := func() {}
	if !e.copying {
		wait = e.loops.run(ctx)
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			e.stop()
			wait()
			e.wg.Wait()
			return nil
		case now := <-tick.C:
			e.sweep(now)
		}
	}
}

// Join starts relaying between client and vm and owns both from now on.
func (e *Engine) Join(client, vm net.Conn, opt Options) Pair {
	e.mu.Lock()
	stopped := e.stopped
	e.mu.Unlock()
	if !stopped && !e.copying {
		if f, ok := e.joinFlow(client, vm, opt); ok {
			return f
		}
	}
	return e.joinCopied(client, vm, opt)
}

// Listen opens a door on addr. Clients are served from the moment Run is
// called.
func (e *Engine) Listen(addr netip.AddrPort, opt DoorOptions) (Door, error) {
	if !e.copying {
		if d, err := e.listenLoops(addr, opt); d != nil || err != nil {
			return d, err
		}
	}
	return e.listenCopied(addr, opt)
}

func (e *Engine) joinCopied(client, vm net.Conn, opt Options) Pair {
	p := newCopied(e, client, vm, opt)
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
	return len(e.pairs) + e.loops.len()
}

// Figures are those of an engine.
type Figures struct {
	Loops   int    // that serve
	Pairs   int    // alive
	Pipes   int    // lent to fast streams, or kept for the next
	Spliced uint64 // bytes that never entered the process
}

// Figures reads them. It costs next to nothing.
func (e *Engine) Figures() Figures {
	f := Figures{Pairs: e.Len()}
	if !e.copying {
		e.loops.figures(&f)
	}
	return f
}

func (e *Engine) sweep(now time.Time) {
	e.mu.Lock()
	var late []*copied
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
	all := make([]*copied, 0, len(e.pairs))
	for p := range e.pairs {
		all = append(all, p)
	}
	e.mu.Unlock()
	for _, p := range all {
		p.Kill(Shutdown)
	}
	e.loops.killAll()
}

func (e *Engine) halved(p *copied) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.halves[p] = struct{}{}
}

func (e *Engine) remove(p *copied) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pairs, p)
	delete(e.halves, p)
}
