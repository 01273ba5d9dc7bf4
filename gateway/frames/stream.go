package frames

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stream is a connection as frames carry it. One goroutine may read and one write; a
// write that met its deadline is the last one, a read that did may be repeated.
//
// It takes no more off the connection than it was asked for, so that somebody else
// can go on at any point: see Hand. Pings and empty messages are answered by whoever reads, unless a
// write is under way: then behind that.
type Stream struct {
	net.Conn // below, with TLS or without
	tcp      *net.TCPConn
	dec      Decoder
	ahead    []byte // off the wire, not decoded
	end      error  // what Read says once its payload is given out
	heard    atomic.Int64
	verdict  atomic.Pointer[word] // what the client's end is answered with
	pong     atomic.Pointer[[]byte]
	ping     atomic.Bool // one is to be sent
	empty    atomic.Bool // likewise, an empty message in answer to one
	hurry    atomic.Int64

	mu   sync.Mutex // one frame at a time
	told bool       // the close frame was sent
	torn bool       // a frame was cut short
	buf  []byte
}

// word is what a close frame says.
type word struct {
	code   int
	reason string
	heard  bool // it is the client's own
}

const (
	// writeChunk is what of a message goes into the first write, header and all: below
	// TLS that is one call (see api/certificate).
	writeChunk = 64 << 10
	// idleBuffer is what a stream keeps of its buffer when its messages are small.
	idleBuffer = 4 << 10
)

// NewStream begins behind the handshake; early was read of the connection with it.
// tcp is what c runs over, or c itself.
func NewStream(c net.Conn, tcp *net.TCPConn, early []byte) *Stream {
	return &Stream{Conn: c, tcp: tcp, ahead: early}
}

// NetConn is the TCP connection below everything.
func (s *Stream) NetConn() net.Conn { return s.tcp }

// Hand gives up the connection: whoever goes on needs the decoder as it is, and what
// was read and not decoded.
func (s *Stream) Hand() (Decoder, []byte) { return s.dec, s.ahead }

// Heard is when the last byte of the client came; zero: none has.
func (s *Stream) Heard() time.Time {
	if ns := s.heard.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Read reads payload. The end of it is io.EOF when the client has said so, and a
// *Violation when it broke the protocol. Finish answers either.
func (s *Stream) Read(p []byte) (int, error) {
	for s.end == nil && len(p) > 0 {
		n, err := s.raw(p)
		if err != nil {
			return 0, err
		}
		data, err := s.decode(p[:n])
		s.end = err
		if len(data) > 0 {
			return len(data), nil
		}
	}
	return 0, s.end
}

// raw takes bytes off the wire.
func (s *Stream) raw(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
			s.ahead = nil
		}
		return n, nil
	}
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.heard.Store(time.Now().UnixNano())
		return n, nil // the error comes again
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // without a close frame
	}
	return 0, err
}

// decode takes raw apart and answers what wants an answer at once. The payload is at
// the beginning of raw then.
func (s *Stream) decode(raw []byte) (data []byte, err error) {
	kept := 0
	for rest := raw; len(rest) > 0 && err == nil; {
		var c Control
		data, rest, c, err = s.dec.Next(rest)
		kept += copy(raw[kept:], data)
		var v *Violation
		switch {
		case errors.As(err, &v):
			s.verdict.Store(&word{code: v.Code, reason: v.Reason})
		case c.Op == OpPing:
			answer := slices.Clone(c.Payload)
			s.pong.Store(&answer)
			s.aside()
		case c.Op == OpEmpty:
			s.empty.Store(true)
			s.aside()
		case c.Op == OpClose:
			s.verdict.Store(&word{code: c.Code, heard: true})
			err = io.EOF
		}
	}
	return raw[:kept], err
}

// Write sends p as one message.
func (s *Stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.message(p)
	s.aside()
	return n, err
}

func (s *Stream) message(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told || s.torn {
		return 0, net.ErrClosed
	}
	s.buf = AppendHeader(s.buf[:0], len(p))
	first := min(len(p), writeChunk-len(s.buf))
	s.buf = append(s.buf, p[:first]...)
	_, err := s.Conn.Write(s.buf)
	if err == nil && first < len(p) {
		_, err = s.Conn.Write(p[first:])
	}
	if len(s.buf) <= idleBuffer && cap(s.buf) > idleBuffer {
		s.buf = nil
	}
	if err != nil {
		s.torn = true
		return 0, err
	}
	return len(p), nil
}

// Ping asks the client for a sign of life, which Heard shows. It does not wait for a
// write that is under way.
func (s *Stream) Ping() {
	s.ping.Store(true)
	s.aside()
}

// aside sends what is to be sent beside data, unless somebody writes: he does it then.
func (s *Stream) aside() {
	for (s.ping.Load() || s.empty.Load() || s.pong.Load() != nil) && s.mu.TryLock() {
		var b []byte
		if p := s.pong.Swap(nil); p != nil {
			b = AppendControl(b, OpPong, *p)
		}
		if s.empty.Swap(false) {
			b = AppendHeader(b, 0)
		}
		if s.ping.Swap(false) {
			b = AppendControl(b, OpPing, nil)
		}
		if !s.told && !s.torn {
			_, err := s.Conn.Write(b)
			s.torn = err != nil
		}
		s.mu.Unlock()
	}
}

// Interrupt ends Read at once and Write when it was patient, and leaves the connection
// to Finish.
func (s *Stream) Interrupt(patience time.Duration) {
	until := time.Now().Add(patience)
	if s.hurry.CompareAndSwap(0, until.UnixNano()) {
		_ = s.tcp.SetWriteDeadline(until)
		_ = s.tcp.SetReadDeadline(time.Unix(1, 0)) // the past
	}
}

// Finish says goodbye and closes the connection: with the code and reason given,
// unless the client has closed first or broken the protocol. A client that does not
// answer is not waited for longer than patience, or that again while more tells so.
func (s *Stream) Finish(code int, reason string, patience time.Duration, more func() bool) {
	end := time.Now().Add(patience)
	if ns := s.hurry.Load(); ns != 0 {
		end = time.Unix(0, ns)
	}
	_ = s.tcp.SetDeadline(end)
	s.Goodbye(code, reason)
	if s.isTorn() {
		_ = s.tcp.SetLinger(0) // what was cut short cannot be ended in order
		_ = s.tcp.Close()
	} else {
		s.await(patience, more)
	}
	_ = s.Conn.Close()
}

// await lets the client take what was said: a reset would overtake it.
func (s *Stream) await(patience time.Duration, more func() bool) {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	for {
		err := s.remains()
		timeout, ok := err.(net.Error) //nolint:errorlint // as net returns it
		if !ok || !timeout.Timeout() || more == nil || !more() {
			return
		}
		_ = s.tcp.SetDeadline(time.Now().Add(patience))
	}
}

// remains reads until the client has said its last word, or broken the protocol: then
// to the end of the connection.
func (s *Stream) remains() error {
	b := make([]byte, 4<<10)
	for s.end == nil {
		if _, err := s.Read(b); err != nil && s.end == nil {
			return err
		}
	}
	if errors.Is(s.end, io.EOF) {
		return nil
	}
	_, err := io.Copy(io.Discard, s.Conn)
	return err
}

func (s *Stream) isTorn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.torn
}

// Goodbye sends the close frame, unless one was sent or a frame was cut short. What
// the client said, or did, last is answered in place of what was given.
func (s *Stream) Goodbye(code int, reason string) {
	if w := s.verdict.Load(); w != nil {
		code, reason = w.code, w.reason
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told || s.torn {
		return
	}
	s.told = true
	_, err := s.Conn.Write(AppendClose(nil, code, reason))
	s.torn = err != nil
}
