package conntrack_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
)

// TestSessionSurvivesItsNode cuts the node of a session off. The other one knows of the
// session what a directory would tell it.
func TestSessionSurvivesItsNode(t *testing.T) {
	for _, e := range families() {
		for _, tt := range []struct {
			name          string
			before, after func(s session) error
		}{
			{"the client talks", clientSays, clientSays},
			{"the VM talks", vmSays, vmSays},
			{"both talk", bothSay, bothSay},
			{"idle, then the VM", nothing, vmSays},
			{"idle, then the client", nothing, clientSays},
		} {
			t.Run(e.name+", "+tt.name, func(t *testing.T) {
				w := newWorld(t, e)
				s := w.session()
				if err := tt.before(s); err != nil {
					t.Fatalf("through the first node: %v", err)
				}
				w.failOver(func(flows []conntrack.Flow) {
					failed, err := w.tableB.Inject(t.Context(), flows)
					none(t, failed, err)
				})
				if err := tt.after(s); err != nil {
					t.Fatalf("through the second node: %v", err)
				}
				flows := dump(t, w.tableB, conntrack.Filter{Mark: ours, Mask: 0xffff})
				if len(flows) != 1 || flows[0].Inside().String() != s.vm.RemoteAddr().String() {
					t.Errorf("got %+v at the second node, want the one session", flows)
				}
			})
		}
	}
}

// TestNothingSurvivesByItself shows that the test above can fail: where only the VM talks,
// nobody but the injected entry can tell whose bytes these are.
func TestNothingSurvivesByItself(t *testing.T) {
	w := newWorld(t, families()[0])
	s := w.session()
	if err := vmSays(s); err != nil {
		t.Fatal(err)
	}
	w.failOver(func([]conntrack.Flow) {})
	_, _ = s.vm.Write([]byte("hello"))
	_ = s.client.SetReadDeadline(time.Now().Add(700 * time.Millisecond))
	if n, err := s.client.Read(make([]byte, 5)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes and %v, want silence", n, err)
	}
}

// failOver moves the addresses from node a, which is cut off, to b; inject comes first.
func (w *world) failOver(inject func([]conntrack.Flow)) {
	w.t.Helper()
	flows := dump(w.t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff})
	if len(flows) != 1 || !flows[0].NATed() || flows[0].State != conntrack.Established {
		w.t.Fatalf("got %+v at the first node, want one established session", flows)
	}
	if err := w.a.Unplug(); err != nil {
		w.t.Fatal(err)
	}
	inject(flows)
	w.serve(w.b)
}

func nothing(session) error      { return nil }
func clientSays(s session) error { return says(s.client, s.vm, "from the client") }
func vmSays(s session) error     { return says(s.vm, s.client, "from the VM") }
func bothSay(s session) error    { return errors.Join(clientSays(s), vmSays(s)) }

// TestCountersAreThoseOfTheSession counts what a real session has sent.
func TestCountersAreThoseOfTheSession(t *testing.T) {
	w := newWorld(t, families()[0])
	began := time.Now()
	s := w.session()
	if err := says(s.client, s.vm, string(make([]byte, 1000))); err != nil {
		t.Fatal(err)
	}
	flows := dump(t, w.tableA, conntrack.Filter{Mark: ours, Mask: 0xffff})
	if len(flows) != 1 {
		t.Fatalf("got %d flows, want 1", len(flows))
	}
	f, err := w.tableA.Get(t.Context(), flows[0])
	if err != nil {
		t.Fatal(err)
	}
	if !f.Counted || f.Sent.Bytes < 1000+3*40 || f.Sent.Packets < 3 || f.Back.Packets < 1 || f.Back.Bytes >= 1000 {
		t.Errorf("got %+v and %+v, want 1000 bytes and headers from the client", f.Sent, f.Back)
	}
	if f.Start.Before(began.Add(-time.Minute)) || f.Start.After(time.Now().Add(time.Minute)) {
		t.Errorf("got begun at %s, want now", f.Start)
	}
}
