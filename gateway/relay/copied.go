package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vdi-gateway/gateway/frames"
)

const (
	// copyBuffer is for a fast stream when one leg is not bare TCP, so nothing can
	// splice: with the header of a frame it fills four records of TLS.
	copyBuffer = 64<<10 - frames.HeaderMax
	// calmBuffer is for all others, and held by those that idle.
	calmBuffer = 4 << 10
	// calmReads is how many reads in a row that a calmBuffer could have taken make a fast
	// stream calm again.
	calmReads = 32
)

// copied is a pair that two goroutines copy.
type copied struct {
	engine   *Engine
	opt      Options
	up, down direction
	started  time.Time
	carrier  *frames.Stream // what the client's bytes come in; nil: they are bare
	left     atomic.Int32   // directions that run
	killed   atomic.Bool

	mu      sync.Mutex
	reason  Reason    // the first one stands
	half    Reason    // whose end of stream came first; "" until then
	moved   int64     // bytes both ways when last looked at, while half-closed
	movedAt time.Time // when that number last changed
}

// direction is one way through the pair. src and dst never change; the
// goroutine that copies is the only writer of count.
type direction struct {
	src, dst net.Conn
	spliced  bool // count is only known in the end: ask the kernel meanwhile
	count    atomic.Int64
	seen     atomic.Int64 // what the kernel last told, while count is not known
	last     atomic.Int64 // unix nanoseconds of the last byte, when not spliced
	ended    atomic.Bool
}

func newCopied(e *Engine, client, vm net.Conn, opt Options) *copied {
	spliced := isTCP(client) && isTCP(vm)
	p := &copied{engine: e, opt: opt, started: time.Now(), carrier: carrierOf(client)}
	p.up.src, p.up.dst, p.up.spliced = client, vm, spliced
	p.down.src, p.down.dst, p.down.spliced = vm, client, spliced
	return p
}

func (p *copied) start() {
	done := make(chan struct{})
	p.left.Store(2)
	for _, pump := range []func(){p.pumpUp, p.pumpDown} {
		go func() {
			pump()
			if p.left.Add(-1) == 0 {
				close(done)
			}
		}()
	}
	go func() {
		p.watch(done)
		p.finish()
	}()
}

// pumpUp and pumpDown have names of their own so that a stack dump tells
// which way a goroutine looks.
func (p *copied) pumpUp()   { p.pump(&p.up, ClientClosed) }
func (p *copied) pumpDown() { p.pump(&p.down, VMClosed) }

func (p *copied) pump(d *direction, eof Reason) {
	err := d.copy()
	d.ended.Store(true)
	if err != nil {
		p.end(p.blame(d, err, eof))
		p.close()
		return
	}
	p.halfClose(d, eof)
}

// halfClose passes the end of a stream on. A leg that knows no half-close has
// closed when its stream ends, and is closed to pass an end on to it: either
// ends the other direction too. So does what is around a WebSocket.
func (p *copied) halfClose(d *direction, eof Reason) {
	p.mu.Lock()
	if p.half == "" {
		p.half, p.movedAt = eof, time.Now()
	}
	p.mu.Unlock()
	p.engine.halved(p)
	if !canHalfClose(d.src) || !closeWrite(d.dst) || p.carrier != nil {
		p.end(p.firstEnd())
		p.close()
	}
}

// writeError is an error of a direction's destination.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// blame finds out which leg an error of d came from; a failed splice does not
// say. While d runs its destination was not told of an end, so if that is
// closed it has failed. The source may be closed in all order: when each side
// has finished sending, but d still has bytes to deliver.
func (p *copied) blame(d *direction, err error, eof Reason) Reason {
	var sink writeError
	switch {
	case timedOut(err):
		return KeepaliveTimeout
	case !errors.As(err, &sink) && !tcpGone(d.dst):
		return eof
	case eof == ClientClosed:
		return VMClosed
	default:
		return ClientClosed
	}
}

// Kill ends the pair at once with the given reason: TCP legs are reset. The
// first reason stands. It returns before OnEnd is called.
func (p *copied) Kill(why Reason) {
	p.end(why)
	if p.killed.CompareAndSwap(false, true) {
		reset(p.down.src)
		p.endClient(reset)
	}
}

// endClient ends the client's leg; a WebSocket is left to goodbye.
func (p *copied) endClient(by func(net.Conn)) {
	if p.carrier != nil {
		p.carrier.Interrupt(farewellTime)
		return
	}
	by(p.up.src)
}

func (p *copied) end(why Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason == "" {
		p.reason = why
	}
}

// close closes both legs, and resets them if the pair was killed: the first
// reset ends a direction, which must not close the other leg gently.
func (p *copied) close() {
	if p.killed.Load() {
		p.endClient(reset)
		reset(p.down.src)
	}
	_ = p.down.src.Close()                          // either may be closed already
	p.endClient(func(c net.Conn) { _ = c.Close() }) // the one that may say farewell, and take its time
}

func (p *copied) finish() {
	defer p.engine.wg.Done()
	p.close()
	p.mu.Lock()
	if p.reason == "" {
		p.reason = p.half
	}
	res := Result{Up: p.up.count.Load(), Down: p.down.count.Load(), Reason: p.reason}
	p.mu.Unlock()
	if p.carrier != nil {
		p.goodbye(res.Reason)
	}
	p.engine.remove(p)
	if p.opt.OnEnd != nil {
		p.opt.OnEnd(res)
	}
}

// discard ends a pair that was joined after the engine had stopped. OnEnd is
// told on another goroutine, as always, since the joiner may hold locks.
func (p *copied) discard() {
	p.Kill(Shutdown)
	go func() {
		if p.carrier != nil {
			p.goodbye(Shutdown)
		}
		if p.opt.OnEnd != nil {
			p.opt.OnEnd(Result{Reason: Shutdown})
		}
	}()
}

func (p *copied) firstEnd() Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.half
}

// silentTooLong decides whether a half-closed pair has moved nothing for
// Options.HalfClose, counting from the last look that saw a byte.
func (p *copied) silentTooLong(now time.Time) bool {
	if p.opt.HalfClose <= 0 {
		return false
	}
	s := p.Stats()
	p.mu.Lock()
	defer p.mu.Unlock()
	if total := s.Up + s.Down; total != p.moved {
		p.moved, p.movedAt = total, now
		return false
	}
	return now.Sub(p.movedAt) >= p.opt.HalfClose
}

// Bytes are those moved so far.
func (p *copied) Bytes() (up, down int64) {
	up, _ = p.up.progress()
	down, _ = p.down.progress()
	return up, down
}

// Stats reads the live figures. It is safe at any time, also after the end.
func (p *copied) Stats() Stats {
	s := Stats{LastActivity: p.started, RTT: roundTrip(p.up.src)}
	var upLast, downLast time.Time
	s.Up, upLast = p.up.progress()
	s.Down, downLast = p.down.progress()
	for _, t := range []time.Time{upLast, downLast} {
		if t.After(s.LastActivity) {
			s.LastActivity = t
		}
	}
	return s
}

func (d *direction) progress() (int64, time.Time) {
	if !d.spliced || d.ended.Load() {
		return d.count.Load(), time.Unix(0, d.last.Load())
	}
	n, last, ok := received(d.src)
	if !ok { // closed by the other direction; this one ends any moment
		return d.seen.Load(), time.Time{}
	}
	d.seen.Store(n)
	return n, last
}

func (d *direction) copy() error {
	defer func() { d.last.Store(time.Now().UnixNano()) }()
	if d.spliced {
		n, err := io.Copy(d.dst, d.src)
		d.count.Store(n)
		return err
	}
	return d.copyThrough()
}

func (d *direction) copyThrough() error {
	buf, calm := make([]byte, calmBuffer), 0
	for {
		n, err := d.src.Read(buf)
		if n > 0 {
			written, werr := d.dst.Write(buf[:n])
			d.count.Add(int64(written))
			d.last.Store(time.Now().UnixNano())
			if werr != nil {
				return writeError{werr}
			}
		}
		if err == io.EOF { //nolint:errorlint // io.Reader promises io.EOF itself
			return nil
		}
		if err != nil {
			return err
		}
		buf, calm = fitting(buf, n, calm)
	}
}

// fitting is the buffer for the next read, after one of n bytes. calm counts the small
// ones.
func fitting(buf []byte, n, calm int) ([]byte, int) {
	switch {
	case n == len(buf) && n < copyBuffer:
		return make([]byte, copyBuffer), 0
	case n > calmBuffer || len(buf) == calmBuffer:
		return buf, 0
	case calm+1 == calmReads:
		return make([]byte, calmBuffer), 0
	}
	return buf, calm + 1
}
