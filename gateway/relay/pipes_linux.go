package relay

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is what a pipe should hold. The kernel gives less to a user
	// who holds many (fs.pipe-user-pages-soft), down to a page or two.
	pipeSize = 1 << 20
	// pipeLeast is what a pipe has to hold to be better than the loop's
	// buffer.
	pipeLeast = readSize
	// pipePause is how long no pipe is asked for after one was refused: every
	// fast stream would ask again with every buffer.
	pipePause = time.Second
	// pipesKept is how many empty pipes a loop keeps for the next fast
	// stream.
	pipesKept = 32
)

// pipe is a kernel buffer between two splices. It belongs to the loop's
// goroutine.
type pipe struct {
	r, w int
	held int // bytes in it
}

// pipePool lends pipes to streams while they are fast.
type pipePool struct {
	idle    []*pipe
	refused time.Time    // when one could not be had
	open    atomic.Int32 // lent or kept; may be read by all
}

// take returns an empty pipe, or nil when there is none to be had: the stream
// goes on copying.
func (pool *pipePool) take(now time.Time) *pipe {
	if n := len(pool.idle); n > 0 {
		p := pool.idle[n-1]
		pool.idle = pool.idle[:n-1]
		return p
	}
	if now.Sub(pool.refused) < pipePause {
		return nil
	}
	p := newPipe()
	if p == nil {
		pool.refused = now
		return nil
	}
	pool.open.Add(1)
	return p
}

// newPipe is nil when the kernel refuses a pipe of a useful size.
func newPipe() *pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	p := &pipe{r: fds[0], w: fds[1]}
	size, err := unix.FcntlInt(uintptr(p.r), unix.F_SETPIPE_SZ, pipeSize)
	if err != nil { // it keeps the size that it has
		size, err = unix.FcntlInt(uintptr(p.r), unix.F_GETPIPE_SZ, 0)
	}
	if err != nil || size < pipeLeast {
		p.close()
		return nil
	}
	return p
}

// give takes a pipe back; one with bytes in it is of no more use.
func (pool *pipePool) give(p *pipe) {
	if p.held > 0 || len(pool.idle) >= pipesKept {
		pool.drop(p)
		return
	}
	pool.idle = append(pool.idle, p)
}

func (pool *pipePool) close() {
	for _, p := range pool.idle {
		pool.drop(p)
	}
	pool.idle = nil
}

func (pool *pipePool) drop(p *pipe) {
	p.close()
	pool.open.Add(-1)
}

func (p *pipe) close() {
	_ = unix.Close(p.r) // nothing can be done about a failing close
	_ = unix.Close(p.w)
}
