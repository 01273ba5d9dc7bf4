package kernel_test

import (
	"crypto/sha256"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// stream has one end talk until stop and compares what the other one gets.
func stream(from, to *net.TCPConn, stop *atomic.Bool) error {
	end := time.Now().Add(3 * patience)
	_, _ = from.SetDeadline(end), to.SetDeadline(end)
	sent := make(chan [sha256.Size]byte, 1)
	failed := make(chan error, 1)
	go func() {
		h := sha256.New()
		for i := 0; !stop.Load(); i++ {
			b := []byte{byte(i), byte(i >> 8), byte(i * 7)}
			h.Write(b)
			if _, err := from.Write(b); err != nil {
				failed <- err
				break
			}
			time.Sleep(5 * time.Millisecond) // a pace, waits for nothing
		}
		_ = from.CloseWrite()
		sent <- [sha256.Size]byte(h.Sum(nil))
	}()
	h := sha256.New()
	_, err := io.Copy(h, to)
	want := <-sent
	select {
	case err = <-failed:
	default:
	}
	if err == nil && [sha256.Size]byte(h.Sum(nil)) != want {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// TestStreamsSurviveTheirNode cuts nodes off while sessions talk: a third each from the
// VM, from the client, and both ways.
func TestStreamsSurviveTheirNode(t *testing.T) {
	w := newWorld(t)
	w.start(w.b)
	var stop atomic.Bool
	results := make(chan error, 2*crowd)
	n := 0
	run := func(from, to *net.TCPConn) {
		n++
		go func() { results <- stream(from, to, &stop) }()
	}
	for i := range crowd {
		s := w.session()
		if i%3 != 0 {
			run(s.vm, s.client)
		}
		if i%3 != 1 {
			run(s.client, s.vm)
		}
	}
	from, to := w.a, w.b
	for round := range 3 {
		w.failOver(from, to)
		for range crowd {
			heard(t, to.owner.joined, "each flow")
		}
		t.Logf("round %d: %d flows injected", round, crowd)
		time.Sleep(time.Second) // that they talk for a while; nothing is asserted of it
		w.comeBack(from)
		from, to = to, from
	}
	stop.Store(true)
	for range n {
		if err := <-results; err != nil {
			t.Errorf("a stream: %v", err)
		}
	}
}
