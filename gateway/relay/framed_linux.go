package relay

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/frames"
)

const (
	// spliceFrame is the payload of one frame of a fast stream at most: a browser
	// hands a message on when it is complete.
	spliceFrame = 256 << 10
	// outMax bounds the control frames that wait for the end of a frame of data.
	outMax = 512
)

// framed is what a flow has more whose client's bytes come in the frames of a
// WebSocket. The loop's goroutine owns it.
type framed struct {
	dec   frames.Decoder
	head  [frames.HeaderMax]byte // of a frame that is spliced
	out   []byte                 // control frames that go before the next one of data
	heard time.Time              // last byte of the client
	vigil vigil

	closed bool // the client has sent a close frame
	told   bool // one to it is among what was said
	shut   bool // the socket has it, and that nothing follows
	torn   bool // a frame was cut short: there is no end in order

	parting  Reason    // "": the VM is there. Else why not, and the client still hears of it
	cut      bool      // however far it is, it has had its time
	deadline time.Time // of the farewell
	taken    uint64    // bytes when the deadline was set
}

// hear takes a control frame of the client.
func (w *framed) hear(c frames.Control) {
	if len(w.out) > outMax { // of many, those before the last may be left out: section 5.5.3
		w.out = w.out[:0]
	}
	switch c.Op {
	case frames.OpPing:
		w.say(frames.OpPong, c.Payload)
	case frames.OpEmpty:
		if !w.told {
			w.out = frames.AppendHeader(w.out, 0)
		}
	case frames.OpClose:
		w.closed = true
		w.close(c.Code, "")
	}
}

func (w *framed) say(op byte, payload []byte) {
	if !w.told {
		w.out = frames.AppendControl(w.out, op, payload)
	}
}

// close says the last word, once.
func (w *framed) close(code int, reason string) {
	if !w.told {
		w.told = true
		w.out = frames.AppendClose(w.out, code, reason)
	}
}

// unframe passes the payload among b on to the VM.
func (s *stream) unframe(l *loop, b []byte) *fault {
	s.from.heard = l.now
	for len(b) > 0 && !s.eof {
		data, rest, c, err := s.from.dec.Next(b)
		s.count.Add(int64(len(data)))
		if bad := s.pass(data); bad != nil {
			return bad
		}
		s.from.hear(c)
		var v *frames.Violation
		if errors.As(err, &v) {
			s.from.close(v.Code, v.Reason)
		}
		s.eof = s.from.closed || err != nil
		b = rest
	}
	return nil
}

// frame sends what was read into l.buf behind room for a header.
func (s *stream) frame(l *loop, n int) *fault {
	head := frames.AppendHeader(s.to.head[:0], n)
	first := frames.HeaderMax - len(head)
	copy(l.buf[first:], head)
	return s.pass(l.buf[first : frames.HeaderMax+n])
}

// utter sends control frames; to be called between frames of data. With the end of
// either stream a close frame is the last. A WebSocket has no half-close.
func (s *stream) utter(back *stream) *fault {
	w := s.to
	switch {
	case s.eof:
		w.close(VMClosed.CloseCode())
	case back.eof:
		w.close(ClientClosed.CloseCode())
	}
	if out := w.out; len(out) > 0 {
		w.out = nil // not kept while it idles
		if bad := s.pass(out); bad != nil {
			return bad
		}
	}
	if w.told && !w.shut && !s.holds() {
		w.shut, s.eof, s.done = true, true, true
		_ = unix.Shutdown(s.out.fd, unix.SHUT_WR) // gone: its own direction tells
	}
	return nil
}

// hurry gives the client some time to end in.
func (f *flow) hurry(l *loop) {
	f.framed.deadline = l.now.Add(farewellTime)
	f.framed.taken = f.taken()
	l.farewells[f] = struct{}{}
}

// part ends a framed flow: its VM at once, its client after a last word. A kill has it
// the reset, and the client less patience. false: it is another flow, or on no loop.
func (f *flow) part(l *loop, why Reason, kill bool) bool {
	w := f.framed
	if w == nil || f.slot == noSlot {
		return false
	}
	w.cut = w.cut || kill
	if w.parting != "" {
		return true
	}
	w.parting = why
	if kill {
		abrupt(f.vm.fd)
	}
	f.mu.Lock()
	_ = unix.Close(f.vm.fd) // nothing can be done about a failing close
	f.vm.fd = -1
	f.mu.Unlock()
	f.up.drop(l)
	w.close(why.CloseCode())
	f.hurry(l)
	if f.parted(l) {
		l.queue(f)
	}
	return true
}

// parted brings a client to its end whose VM is gone: it gets the rest of the frame
// that is under way and the close frame, and is listened to until it has ended too,
// since to close with something unread is to reset, which would overtake them.
func (f *flow) parted(l *loop) (more bool) {
	w := f.framed
	if w.torn {
		f.leave(l)
		return false
	}
	bad := f.down.flush()
	if bad == nil && !f.down.holds() {
		bad = f.down.utter(&f.up)
	}
	if bad != nil || w.shut && w.closed {
		f.leave(l)
		return false
	}
	for taken := 0; taken < turn; {
		n, errno := 0, unix.EAGAIN
		if f.client.readable {
			n, errno = read(f.client.fd, l.buf)
		}
		switch {
		case errno == unix.EAGAIN:
			f.client.readable = false
			return false
		case errno == unix.EINTR:
		case n <= 0 || errno != 0:
			f.leave(l)
			return false
		case w.ends(l.buf[:n]):
			f.leave(l)
			return false
		default:
			taken += n
		}
	}
	return true
}

// ends tells whether a client that is only waited for says its last word in b.
func (w *framed) ends(b []byte) bool {
	for len(b) > 0 {
		_, rest, c, err := w.dec.Next(b)
		if err != nil { // it has broken the protocol: its end is that of the connection
			return false
		}
		w.closed = w.closed || c.Op == frames.OpClose
		b = rest
	}
	return w.closed && w.shut
}

// leave closes the client's socket. What was cut short cannot be ended in order, and
// with one who is silent there is nobody to do so.
func (f *flow) leave(l *loop) {
	why := f.framed.parting
	if f.framed.torn || f.down.holds() || why == KeepaliveTimeout {
		abrupt(f.client.fd)
	}
	f.close(l, Result{Reason: why})
}

// sweepFarewells ends those that take too long.
func (l *loop) sweepFarewells() {
	for f := range l.farewells {
		if l.now.After(f.framed.deadline) {
			f.late(l)
		}
	}
}

// late ends a farewell, unless the client is slow, and nobody is after its life.
func (f *flow) late(l *loop) {
	w := f.framed
	switch {
	case !w.cut && f.taken() > w.taken:
		f.hurry(l)
	case w.parting != "":
		f.leave(l)
	case f.up.eof && !f.up.done: // the VM still takes what the client has said last
		delete(l.farewells, f)
		w.torn = f.down.holds()
		f.down.drop(l)
		f.down.eof, f.down.done = true, true
	default: // it has not answered
		f.part(l, f.half, false)
		if !f.closed {
			f.leave(l)
		}
	}
}

// taken is how much has come through to either end.
func (f *flow) taken() uint64 {
	acked, _ := f.acknowledged()
	return acked + uint64(f.up.count.Load()) //nolint:gosec // a count is not negative
}

// acknowledged is how much the client has taken, and whether more is on its way.
func (f *flow) acknowledged() (bytes uint64, busy bool) {
	info, err := unix.GetsockoptTCPInfo(f.client.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, false
	}
	return info.Bytes_acked, info.Notsent_bytes > 0 || f.down.holds()
}

// pingEvery is how often clients are looked at that want pings.
const pingEvery = time.Second

// sweepPings asks clients for signs of life, and ends the flows of those that show
// none.
func (l *loop) sweepPings() {
	if l.now.Sub(l.pingedAt) < pingEvery {
		return
	}
	l.pingedAt = l.now
	for f := range l.pinged {
		if w := f.framed; w.parting == "" && !w.told {
			f.tend(l)
		}
	}
}

func (f *flow) tend(l *loop) {
	w := f.framed
	switch w.vigil.look(l.now, w.heard, f.acknowledged) {
	case askIt:
		if len(w.out) == 0 { // else it has something to answer, or to take
			w.say(frames.OpPing, nil)
			l.queue(f)
		}
	case lost:
		f.end(l, Result{Reason: KeepaliveTimeout})
	}
}

// carry goes on with a client whose frames somebody else has begun to read.
func (f *flow) carry(s *frames.Stream) (begin func(*loop)) {
	dec, early := s.Hand()
	f.framed = &framed{dec: dec}
	f.up.from, f.down.to = f.framed, f.framed
	return func(l *loop) {
		l.adopt(f)
		if f.closed || f.framed.parting != "" || len(early) == 0 {
			return
		}
		if bad := f.up.unframe(l, early); bad != nil {
			f.fail(l, bad, ClientClosed, VMClosed)
		}
	}
}
