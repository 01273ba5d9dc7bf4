package conntrack_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
)

// ending is how and when a connection ended.
type ending struct {
	err error
	at  time.Time
}

// watch reads each connection to its end.
func watch(conns []net.Conn) <-chan ending {
	ends := make(chan ending, len(conns))
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		go func() {
			_, err := io.Copy(io.Discard, c)
			ends <- ending{err, time.Now()}
		}()
	}
	return ends
}

func TestKickEndsIdleFlowsAtBothEnds(t *testing.T) {
	for _, e := range families() {
		t.Run(e.name, func(t *testing.T) {
			n := 1000
			if e.client.Is6() {
				n = 100
			}
			w := newWorld(t, e)
			bystander := w.session()
			spared := dump(t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff})
			var conns []net.Conn
			for range n {
				s := w.session()
				conns = append(conns, s.client, s.vm)
			}
			var flows []conntrack.Flow
			for _, f := range dump(t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff}) {
				if !f.Same(spared[0]) {
					flows = append(flows, f)
				}
			}
			ends := watch(conns)
			began := time.Now()
			w.kick(flows)
			took := time.Since(began)
			worst := time.Duration(0)
			for range conns {
				end := <-ends
				if !errors.Is(end.err, syscall.ECONNRESET) {
					t.Fatalf("got %v, want a reset", end.err)
				}
				worst = max(worst, end.at.Sub(began))
			}
			t.Logf("%d idle flows: all %d ends reset, the last after %s; Kick took %s", n, len(conns), worst, took)
			if got := dump(t, w.tableA, conntrack.Filter{Mark: condemned, Mask: 0xffff}); len(got) != 0 {
				t.Errorf("got %d entries left, want none", len(got))
			}
			if err := bothSay(bystander); err != nil {
				t.Errorf("a flow that was not kicked: %v", err)
			}
		})
	}
}

// kick kicks at the first node and wants no failure.
func (w *world) kick(flows []conntrack.Flow) {
	w.t.Helper()
	var failed []conntrack.Failure
	err := w.a.Do(func() (err error) {
		failed, err = w.tableA.Kick(w.t.Context(), condemned, flows...)
		return err
	})
	none(w.t, failed, err)
}

func TestKickEndsFlowsThatTalk(t *testing.T) {
	w := newWorld(t, families()[0])
	var conns []net.Conn
	for range 20 {
		s := w.session()
		conns = append(conns, s.client, s.vm)
	}
	// A reset is told once: to who reads, or to who writes.
	wrote := make(chan error, len(conns))
	for _, c := range conns {
		go func() {
			for {
				if _, err := c.Write(make([]byte, 100)); err != nil {
					wrote <- err
					return
				}
				time.Sleep(time.Millisecond) // a pace, waits for nothing
			}
		}()
	}
	ends := watch(conns)
	w.kick(dump(t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff}))
	resets := 0
	for range conns {
		for _, err := range []error{(<-ends).err, <-wrote} {
			if errors.Is(err, syscall.ECONNRESET) {
				resets++
			}
		}
	}
	if resets != len(conns) {
		t.Errorf("got %d resets, want one of each of %d ends", resets, len(conns))
	}
}

// TestKickWaitsForEndsThatHaveJustAnswered has an end that answers nothing odd for half a
// second, since it has just answered the VM's second SYN-ACK: its first one got lost.
func TestKickWaitsForEndsThatHaveJustAnswered(t *testing.T) {
	w := newWorld(t, families()[0])
	w.nft(w.vm, `
table ip loss {
	chain leaving {
		type filter hook output priority raw;
		tcp flags & (syn | ack) == syn | ack quota until 70 bytes drop
	}
}
`)
	s := w.session()
	ends := watch([]net.Conn{s.client, s.vm})
	w.kick(dump(t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff}))
	for range 2 {
		if end := <-ends; !errors.Is(end.err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", end.err)
		}
	}
}

func TestKickSaysWhoGaveNoSign(t *testing.T) {
	w := newWorld(t, families()[0])
	s := w.session()
	flows := dump(t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff})
	gone := w.ends.flow(9) // was never there
	if err := w.vm.Unplug(); err != nil {
		t.Fatal(err)
	}
	var failed []conntrack.Failure
	err := w.a.Do(func() (err error) {
		failed, err = w.tableA.Kick(t.Context(), condemned, append(flows, gone)...)
		return err
	})
	if err != nil || len(failed) != 1 || !errors.Is(failed[0], conntrack.ErrUnanswered) || !failed[0].Flow.Same(flows[0]) {
		t.Fatalf("got %v and %v, want ErrUnanswered of the session", failed, err)
	}
	_ = s.client.SetReadDeadline(time.Now().Add(patience))
	if _, err := s.client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client: got %v, want a reset; Kick said %v", err, failed)
	}
	if got := dump(t, w.tableA, conntrack.Filter{Mark: condemned, Mask: 0xffff}); len(got) != 0 {
		t.Errorf("got %+v left, want none", got)
	}
}
