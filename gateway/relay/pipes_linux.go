package relay

import "golang.org/x/sys/unix"

const (
	// pipeSize is what a pipe should hold. The kernel gives less to a user
	// who holds many (fs.pipe-user-pages-soft); that works, only slower.
	pipeSize = 1 << 20
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
type pipePool struct{ idle []*pipe }

// take returns an empty pipe, or nil when there is none to be had: the stream
// goes on copying.
func (pool *pipePool) take() *pipe {
	if n := len(pool.idle); n > 0 {
		p := pool.idle[n-1]
		pool.idle = pool.idle[:n-1]
		return p
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	// A refusal leaves the default size.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	return &pipe{r: fds[0], w: fds[1]}
}

// give takes a pipe back; one with bytes in it is of no more use.
func (pool *pipePool) give(p *pipe) {
	if p.held > 0 || len(pool.idle) >= pipesKept {
		p.close()
		return
	}
	pool.idle = append(pool.idle, p)
}

func (pool *pipePool) close() {
	for _, p := range pool.idle {
		p.close()
	}
	pool.idle = nil
}

func (p *pipe) close() {
	_ = unix.Close(p.r) // nothing can be done about a failing close
	_ = unix.Close(p.w)
}
