package relay

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/frames"
)

const (
	// readSize is the loop's one buffer. A read that fills it marks a fast
	// stream, which is spliced from then on.
	readSize = 64 << 10
	// spliceSize is asked of one splice.
	spliceSize = 1 << 20
	// calm is what one wake-up of a spliced stream must bring, else the
	// stream is copied again: a splice costs two calls, a copy one more.
	calm = 16 << 10
	// turn is how many bytes a stream moves before others get theirs.
	turn = 1 << 20
)

// socket is one leg as its loop sees it. Readiness is edge-triggered: what the
// kernel told stays true until a call says EAGAIN.
type socket struct {
	fd       int
	readable bool
	writable bool
	hung     bool // end of stream or error signalled: read on to meet it
}

// stream is one direction of a flow. The loop's goroutine owns it; count may be
// read by all.
type stream struct {
	in, out *socket
	rest    []byte  // read and not yet written; nil mostly
	pipe    *pipe   // lent while it is spliced
	fast    bool    // splice, do not copy
	burst   int64   // bytes since it was last drained
	from    *framed // in carries frames; nil: bytes as they are
	to      *framed // out does
	eof     bool    // in has ended
	done    bool    // and out was told
	count   atomic.Int64
}

// side of a flow that an error belongs to.
type side int

const (
	inSide side = iota
	outSide
)

// fault is an error and the side of the stream it came from.
type fault struct {
	side  side
	errno unix.Errno
}

// step moves bytes until the stream must wait or has had its turn. more tells
// that it could go on at once.
func (s *stream) step(l *loop, back *stream) (more bool, bad *fault) {
	for taken := int64(0); taken < turn; {
		bad := s.flush()
		if bad == nil && s.to != nil && !s.done && !s.holds() {
			bad = s.utter(back)
		}
		if bad != nil || s.holds() { // out takes no more
			return false, bad
		}
		if s.eof {
			return false, s.finish(l, back.done)
		}
		if !s.in.readable {
			s.settle(l)
			return false, nil
		}
		n, bad := s.fill(l)
		if bad != nil {
			return false, bad
		}
		taken += n
		s.burst += n
	}
	return true, nil
}

func (s *stream) holds() bool { return len(s.rest) > 0 || s.pipe != nil && s.pipe.held > 0 }

// settle gives the empty pipe back when nothing more is there to read, and ends
// splicing when the wake-up was not worth it.
func (s *stream) settle(l *loop) {
	if s.pipe != nil {
		l.pipes.give(s.pipe)
		s.pipe = nil
	}
	if s.burst < calm {
		s.fast = false
	}
	s.burst = 0
}

// finish passes the end of the stream on. The second end needs no words: both
// sockets are closed now.
func (s *stream) finish(l *loop, second bool) *fault {
	if s.done {
		s.settle(l)
		return nil
	}
	s.done = true
	s.settle(l)
	if second {
		return nil
	}
	if err := unix.Shutdown(s.out.fd, unix.SHUT_WR); err != nil && err != unix.ENOTCONN { //nolint:errorlint // an errno
		return &fault{outSide, errnoOf(err)}
	}
	return nil
}

// fill takes bytes in, and returns how many: into the pipe, or through the loop's
// buffer to out.
func (s *stream) fill(l *loop) (int64, *fault) {
	if s.fast && s.pipe == nil {
		if s.pipe = l.pipes.take(l.now); s.pipe == nil {
			s.fast = false
		}
	}
	if s.fast {
		return s.splice(l)
	}
	return s.copy(l)
}

func (s *stream) splice(l *loop) (int64, *fault) {
	size := spliceSize
	if s.to != nil {
		size = spliceFrame
	}
	n, errno := splice(s.in.fd, s.pipe.w, size)
	if n <= 0 || errno != 0 {
		return 0, s.stopped(n, errno)
	}
	if s.to != nil {
		s.rest = frames.AppendHeader(s.to.head[:0], n)
	}
	s.pipe.held += n
	s.count.Add(int64(n))
	l.spliced.Add(uint64(n)) //nolint:gosec // positive
	return int64(n), nil
}

func (s *stream) copy(l *loop) (int64, *fault) {
	buf := l.buf
	if s.to != nil {
		buf = buf[frames.HeaderMax:]
	}
	n, errno := read(s.in.fd, buf)
	if n <= 0 || errno != 0 {
		return 0, s.stopped(n, errno)
	}
	if n == len(buf) {
		s.fast = s.from == nil // what is masked has to be looked at
	} else if !s.in.hung {
		// Drained: the next byte is a new edge, so EAGAIN need not be met.
		// A signalled end is no new edge: that has to be met by a read.
		s.in.readable = false
	}
	if s.from != nil {
		return int64(n), s.unframe(l, buf[:n])
	}
	s.count.Add(int64(n))
	if s.to != nil {
		return int64(n), s.frame(l, n)
	}
	return int64(n), s.pass(buf[:n])
}

// pass sends b, or holds what out does not take.
func (s *stream) pass(b []byte) *fault {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, b...)
		return nil
	}
	rest, bad := s.send(b, write)
	if len(rest) > 0 {
		s.rest = append([]byte(nil), rest...)
	}
	return bad
}

// stopped sorts out why in gave nothing.
func (s *stream) stopped(n int, errno unix.Errno) *fault {
	switch errno {
	case 0:
		s.eof = n == 0
		return nil
	case unix.EAGAIN:
		s.in.readable = false
		return nil
	case unix.EINTR:
		return nil
	default:
		return &fault{inSide, errno}
	}
}

// send writes b as far as out takes it and returns the rest.
func (s *stream) send(b []byte, by func(fd int, b []byte) (int, unix.Errno)) ([]byte, *fault) {
	for s.out.writable && len(b) > 0 {
		n, errno := by(s.out.fd, b)
		switch errno {
		case 0:
			b = b[n:]
		case unix.EAGAIN:
			s.out.writable = false
		case unix.EINTR:
		default:
			return nil, &fault{outSide, errno}
		}
	}
	return b, nil
}

// flush sends what is held, as far as out takes it.
func (s *stream) flush() *fault {
	if len(s.rest) > 0 {
		by := write
		if s.pipe != nil { // the header of what is there
			by = writeMore
		}
		rest, bad := s.send(s.rest, by)
		if bad != nil {
			return bad
		}
		if s.rest = rest; len(rest) == 0 {
			s.rest = nil // the buffer is not kept while the stream idles
		}
	}
	for s.pipe != nil && s.pipe.held > 0 && s.out.writable {
		n, errno := splice(s.pipe.r, s.out.fd, s.pipe.held)
		switch errno {
		case 0:
			s.pipe.held -= n
		case unix.EAGAIN:
			s.out.writable = false
		case unix.EINTR:
		default:
			return &fault{outSide, errno}
		}
	}
	return nil
}

func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(unix.Errno); ok { //nolint:errorlint // x/sys/unix returns bare errnos
		return e
	}
	return unix.EIO
}
