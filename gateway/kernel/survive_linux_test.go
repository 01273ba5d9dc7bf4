package kernel_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const crowd = 200

// failOver cuts a node off and has another one take its flows and addresses.
func (w *world) failOver(from, to *node) {
	w.t.Helper()
	if err := from.Unplug(); err != nil {
		w.t.Fatal(err)
	}
	failed, err := to.Inject(w.t.Context(), to.shared.all())
	if err != nil || len(failed) > 0 {
		w.t.Fatalf("got %v and %v, want all injected", failed, err)
	}
	w.serve(to)
}

// comeBack plugs a node in that has lost its addresses.
func (w *world) comeBack(n *node) {
	w.t.Helper()
	if err := errors.Join(n.Drop(virtual), n.Drop(inside), n.Withdraw(w.t.Context()), n.Plug()); err != nil {
		w.t.Fatal(err)
	}
}

func TestFlowsSurviveTheirNode(t *testing.T) {
	w := newWorld(t)
	w.start(w.b)
	var all []session
	for range crowd {
		all = append(all, w.session())
	}
	talk := func(what string) {
		t.Helper()
		for i, s := range all {
			var err error
			if i%4 != 0 {
				err = says(s.vm, s.client, "from the VM")
			}
			if i%4 != 1 && err == nil {
				err = says(s.client, s.vm, "from the client")
			}
			if err != nil {
				t.Fatalf("%s: session %d: %v", what, i, err)
			}
		}
	}
	w.failOver(w.a, w.b)
	talk("through b")
	for range all {
		if f := heard(t, w.b.owner.joined, "each flow at b"); !f.Adopted {
			t.Error("got a flow of b's own, want an adopted one")
		}
	}
	ghost := all[0]
	all = all[1:]
	_, _ = ghost.client.Close(), ghost.vm.Close()
	heard(t, w.b.owner.ended, "the end of one at b")
	w.comeBack(w.a)
	w.failOver(w.b, w.a)
	talk("through a again")
	for range crowd {
		if got := heard(t, w.a.owner.ended, "flows that moved"); got.Reason != "moved" {
			t.Errorf("got %s at a, want moved", got.Reason)
		}
	}
	for range all {
		if f := heard(t, w.a.owner.joined, "each living flow at a"); f.Client().String() == ghost.client.LocalAddr().String() {
			t.Error("a dead flow has come back")
		}
	}
}

func TestRevokedFlowStaysEnded(t *testing.T) {
	w := newWorld(t)
	w.start(w.b)
	w.session()
	w.b.Forbid("admin", w.grant)
	failed, err := w.b.Inject(t.Context(), w.b.shared.all())
	if err != nil || len(failed) != 1 {
		t.Errorf("got %v and %v, want one flow without a grant", failed, err)
	}
}

// Two clients of the same source port: the kernel gives one of them another port towards
// the VM, and both go on at the other node.
func TestTranslatedPortSurvives(t *testing.T) {
	w := newWorld(t)
	other := netip.MustParseAddr("10.9.0.101")
	if err := w.client.Take(other); err != nil {
		t.Fatal(err)
	}
	more := w.grant
	more.Client = other
	w.start(w.b)
	w.allow(w.a, more)
	w.allow(w.b, more)
	var all []session
	for _, from := range []netip.Addr{w.client.Addr(), other} {
		var c net.Conn
		err := w.client.Do(func() (err error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice(), Port: 45678}, Timeout: patience}
			d.SetMultipathTCP(false)
			c, err = d.Dial("tcp", netip.AddrPortFrom(virtual, 5901).String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = w.listener.SetDeadline(time.Now().Add(patience))
		v, err := w.listener.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = c.Close(), v.Close() })
		all = append(all, session{c.(*net.TCPConn), v, heard(t, w.a.owner.joined, "a flow")})
	}
	if a, b := all[0].vm.RemoteAddr().String(), all[1].vm.RemoteAddr().String(); a == b || !strings.HasSuffix(a, ":45678") || strings.HasSuffix(b, ":45678") {
		t.Fatalf("got %s and %s, want another port for the second", a, b)
	}
	w.failOver(w.a, w.b)
	for _, s := range all {
		if err := errors.Join(says(s.vm, s.client, "from the VM"), says(s.client, s.vm, "from the client")); err != nil {
			t.Error(err)
		}
	}
}
