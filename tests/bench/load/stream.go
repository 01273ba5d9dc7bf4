package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// streamTime bounds one checked stream.
const streamTime = 60 * time.Second

// end is how a checked connection ends.
type end int

const (
	// orderly: each side sends all, closes its half and reads to the end. One
	// is mostly done long before the other.
	orderly end = iota
	// clientResets and serverResets: that side breaks off in the middle.
	clientResets
	serverResets
)

// plan is what both ends of a checked connection know from its number.
type plan struct {
	number   uint64
	up, down int64 // bytes that client and server send
	end      end
}

// Sizes of checked streams: most are small, some do not fit any buffer.
const (
	smallBits = 17 // below 128 KiB
	largeBits = 23 // below 8 MiB
)

func newPlan(number uint64) plan {
	r := rand.New(rand.NewPCG(number, 0)) //nolint:gosec // the same for both ends
	size := func() int64 {
		bits := r.IntN(smallBits + 1)
		if r.IntN(50) == 0 {
			bits = largeBits
		}
		return r.Int64N(1 << bits)
	}
	p := plan{number: number, up: size(), down: size()}
	switch r.IntN(5) {
	case 0:
		p.end = clientResets
	case 1:
		p.end = serverResets
	}
	return p
}

// bytesOf is the stream of one direction; two readers of it read the same.
func (p plan) bytesOf(up bool) io.Reader {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], p.number)
	if up {
		seed[8] = 1
	}
	return rand.NewChaCha8(seed)
}

// side is one end of a checked connection.
type side struct {
	plan
	conn   *net.TCPConn
	client bool
}

// resets tells whether this side breaks off.
func (s side) resets() bool {
	return s.end == clientResets && s.client || s.end == serverResets && !s.client
}

// run sends and receives what the plan says; nil: everything was as it should.
func (s side) run() error {
	_ = s.conn.SetDeadline(time.Now().Add(streamTime))
	sent := make(chan error, 1)
	go func() { sent <- s.send() }()
	received := s.receive()
	err := <-sent
	if s.end != orderly && broken(err) {
		err = nil
	}
	return errors.Join(received, err)
}

// broken tells whether err is what a connection does that was reset.
func broken(err error) bool {
	return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ENOTCONN)
}

func (s side) send() error {
	size, r := s.down, rand.New(rand.NewPCG(s.number, 1)) //nolint:gosec // pieces and pauses
	if s.client {
		size, r = s.up, rand.New(rand.NewPCG(s.number, 2)) //nolint:gosec // as above
	}
	if s.resets() {
		size = r.Int64N(size + 1)
	}
	left := io.LimitReader(s.bytesOf(s.client), size)
	for buf := make([]byte, 64<<10); ; {
		n, _ := left.Read(buf[:1+r.IntN(len(buf))]) // EOF only
		if n == 0 {
			return s.finish()
		}
		if _, err := s.conn.Write(buf[:n]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		pause(r)
	}
}

// finish ends what this side sends.
func (s side) finish() error {
	if !s.resets() {
		return s.conn.CloseWrite()
	}
	_ = s.conn.SetLinger(0) // the close resets
	return s.conn.Close()
}

// receive compares what arrives. An orderly connection brings everything and
// then the end of the stream; one that a side resets brings a beginning, and
// ends: a relay may pass a reset on as an ordinary close.
func (s side) receive() error {
	want, size := s.bytesOf(!s.client), s.up
	if s.client {
		size = s.down
	}
	r := rand.New(rand.NewPCG(s.number, 3)) //nolint:gosec // pieces and pauses
	got, expected := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := s.conn.Read(got[:1+r.IntN(len(got))])
		_, _ = want.Read(expected[:n]) // never fails
		if !bytes.Equal(got[:n], expected[:n]) {
			return fmt.Errorf("bytes %d to %d are not those that were sent", at, at+int64(n))
		}
		if at += int64(n); err != nil {
			return s.ended(at, size, err)
		}
		pause(r)
	}
}

// ended judges the end of what arrives, after some of the bytes.
func (s side) ended(got, size int64, err error) error {
	switch {
	case s.resets():
		return nil
	case s.end == orderly && (got != size || !errors.Is(err, io.EOF)):
		return fmt.Errorf("%d of %d bytes arrived, then %w", got, size, err)
	case isTimeout(err):
		return fmt.Errorf("%d of %d bytes arrived, then nothing: %w", got, size, err)
	}
	return nil
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// pause lets a side be slow now and then.
func pause(r *rand.Rand) {
	if r.IntN(20) == 0 {
		time.Sleep(time.Duration(r.Int64N(int64(3 * time.Millisecond))))
	}
}
