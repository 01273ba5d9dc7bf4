package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"vdi-gateway/gateway/relay"
)

// side is one leg's far end with what was sent and received on it.
type side struct {
	name     string
	reason   relay.Reason // of a pair that this side ends
	conn     far
	stream   *rand.ChaCha8 // what it sends
	sent     int64
	unsent   []byte // of its stream, which nobody took
	finished bool   // it has half-closed
	cut      bool   // it has reset
	stalled  bool   // it holds reading, and reads nothing

	heard   chan struct{} // closed when its stream has ended, or failed
	reading sync.Mutex
	mu      sync.Mutex
	got     bytes.Buffer
}

func newSide(name string, reason relay.Reason, conn far) *side {
	s := &side{name: name, reason: reason, conn: conn, heard: make(chan struct{})}
	s.stream = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%32s", name))))
	go s.listen()
	return s
}

func (s *side) listen() {
	defer close(s.heard)
	buf := make([]byte, 32<<10)
	for {
		s.reading.Lock()
		n, err := s.conn.Read(buf)
		s.reading.Unlock()
		s.mu.Lock()
		s.got.Write(buf[:n])
		s.mu.Unlock()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// send writes the next n bytes of its stream, as far as they are taken; a
// failure is for the model to judge by what arrives.
func (s *side) send(n int, patient bool) {
	for len(s.unsent) < n {
		b := make([]byte, n)
		_, _ = s.stream.Read(b)
		s.unsent = append(s.unsent, b...)
	}
	if !patient {
		_ = s.conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		defer func() { _ = s.conn.SetWriteDeadline(time.Time{}) }()
	}
	written, _ := s.conn.Write(s.unsent[:n])
	s.unsent = s.unsent[written:]
	s.sent += int64(written)
}

func (s *side) received() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.got.Len())
}

// stall has the side read no more until resume. Whoever reads at the moment is
// woken, so that nothing is read from now on.
func (s *side) stall() {
	if !s.stalled && !s.cut {
		_ = s.conn.SetReadDeadline(time.Now())
		s.reading.Lock()
		_ = s.conn.SetReadDeadline(time.Time{})
		s.stalled = true
	}
}

func (s *side) resume() {
	if s.stalled {
		s.stalled = false
		s.reading.Unlock()
	}
}
