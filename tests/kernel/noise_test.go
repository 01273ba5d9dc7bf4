package kernel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// period is a prime number, so that a block of any usual size that is lost or twice shows.
const period = 65521

// noise is what everybody says: from another place in each session and direction.
var noise = func() []byte {
	b := make([]byte, period, 2*period)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return append(b, b...)
}()

// stream is one direction of a session.
type stream struct {
	begin int64 // in the noise
	at    int64 // bytes so far
}

func newStream(number int, up bool) stream {
	begin := int64(number) * 7919
	if up {
		begin += period / 2
	}
	return stream{begin: begin}
}

// next are the n bytes that come now.
func (s *stream) next(n int) []byte {
	from := (s.begin + s.at) % period
	s.at += int64(n)
	return noise[from : from+int64(n)]
}

// heard compares what came with what had to come.
func (s *stream) heard(b []byte) error {
	at := s.at
	for len(b) > 0 {
		n := min(len(b), period)
		if !bytes.Equal(b[:n], s.next(n)) {
			return fmt.Errorf("other bytes than were sent, somewhere in %d after %d", n, at)
		}
		b = b[n:]
	}
	return nil
}

func TestNoiseShowsWhatIsMissing(t *testing.T) {
	from, to := newStream(3, true), newStream(3, true)
	if err := to.heard(from.next(3000)); err != nil {
		t.Error(err)
	}
	from.next(1460) // lost
	if err := to.heard(from.next(64)); err == nil {
		t.Error("got nil for a stream with a hole, want an error")
	}
	other := newStream(3, false)
	if err := other.heard(new(stream).next(64)); err == nil {
		t.Error("got nil for bytes of another session, want an error")
	}
}
