package kernel_test

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/tests/lab"
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
	records := w.b.shared.all()
	failed, err := w.b.Inject(t.Context(), append(records, kernel.Record{ID: "none"}))
	if err != nil || len(failed) != 2 {
		t.Fatalf("got %v and %v, want one flow without a grant, and one that is none", failed, err)
	}
	for i, granted := range []bool{false, true} {
		var n *kernel.NotInjected
		if !errors.As(failed[i], &n) || n.ID != []string{records[0].ID, "none"}[i] {
			t.Errorf("got %v, want it to tell the record", failed[i])
		}
		if errors.Is(failed[i], kernel.ErrNotGranted) == granted {
			t.Errorf("got %v, want it to lack a grant: %t", failed[i], !granted)
		}
	}
	w.cfg.Enabled = false
	if err := w.b.Apply(w.cfg); err != nil {
		t.Fatal(err)
	}
	if failed, err := w.b.Inject(t.Context(), records); err == nil || len(failed) > 0 {
		t.Errorf("disabled: got %v and %v, want one error for all", failed, err)
	}
}

// What lives at a node is not injected there once more, whether it was heard of or not.
func TestInjectLeavesAloneWhatLives(t *testing.T) {
	w := newWorld(t)
	w.a.owner.busy.Lock() // the loop stands still at the first flow
	const n = 8
	var records []kernel.Record
	for range n {
		c, v := w.connect()
		client, inside := c.LocalAddr().(*net.TCPAddr).AddrPort(), v.RemoteAddr().(*net.TCPAddr).AddrPort()
		records = append(records, kernel.RecordOf(client, netip.AddrPortFrom(virtual, 5901), inside, w.grant.VM))
	}
	for range 2 { // when the second call is answered, what follows of the first is done
		time.AfterFunc(100*time.Millisecond, w.a.owner.busy.Unlock)
		failed, err := w.a.Inject(t.Context(), records)
		if err != nil || len(failed) > 0 {
			t.Errorf("got %v and %v, want no failure", failed, err)
		}
		w.a.owner.busy.Lock()
	}
	w.a.owner.busy.Unlock()
	for range n {
		heard(t, w.a.owner.joined, "each flow")
	}
	if opened, ended := len(w.a.owner.opened), len(w.a.owner.ended); opened != n || ended != 0 {
		t.Errorf("got %d flows opened and %d ended, want %d and 0", opened, ended, n)
	}
}

// A node that another one has taken over from sends nothing to anybody, whatever it was
// at and is asked to.
func TestWithdrawnNodeSendsNothing(t *testing.T) {
	w := newWorld(t)
	busy, idle := w.session(), w.session()
	mute := "table inet mute { chain c { type filter hook input priority 0; tcp flags & syn == syn drop; }; }"
	var syns []*lab.Counter
	for _, h := range []*lab.Host{w.client, w.vm} {
		if _, err := h.Run(t.Context(), exec.Command("nft", mute)); err != nil {
			t.Fatal(err)
		}
		c, err := h.Count("tcp flags & syn == syn")
		if err != nil {
			t.Fatal(err)
		}
		syns = append(syns, c)
	}
	sent := func() (all [2]int) {
		for i, c := range syns {
			n, err := c.Packets()
			if err != nil {
				t.Fatal(err)
			}
			all[i] = n
		}
		return all
	}
	busy.flow.Kill("admin")
	for end := time.Now().Add(patience); sent()[0] == 0 || sent()[1] == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("got no packet of the kick, want some")
		}
	}
	if err := w.a.Withdraw(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := sent()
	idle.flow.Kill("admin")
	w.a.Forbid("admin", w.grant)
	w.settle(w.a)
	for range 2 {
		if got := heard(t, w.a.owner.ended, "flows that moved"); got.Reason != kernel.Moved {
			t.Errorf("got %s, want moved", got.Reason)
		}
	}
	time.Sleep(500 * time.Millisecond) // a kick would send again within that time
	if got := sent(); got != before {
		t.Errorf("got %d SYNs at the client and the VM since, want none beside %d", got, before)
	}
	if got := len(w.a.shared.all()); got != 2 {
		t.Errorf("got %d records, want both for the other node", got)
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

// A process that stood still knows later than others that the address is gone. Whatever it
// ends meanwhile goes on.
func TestHostWithoutTheAddressResetsNobody(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	if err := w.a.Drop(virtual); err != nil {
		t.Fatal(err)
	}
	s.flow.Kill("idle")
	if got := heard(t, w.a.owner.ended, "its end here"); got.Reason != kernel.Moved {
		t.Errorf("got %s, want moved", got.Reason)
	}
	if err := w.a.Take(virtual); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(says(s.client, s.vm, "up"), says(s.vm, s.client, "down")); err != nil {
		t.Errorf("after the address is back: %v", err)
	}
}

// What a process finds when it starts may be another node's by now: it does not count,
// and nothing happens to it, until it is told that flows are its own.
func TestFlowsOfBeforeTheStartAreNobodys(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	w.a.stop()
	w.a.serving = false
	w.start(w.a)
	select {
	case <-w.a.owner.opened:
		t.Error("got a flow told of, want none before Inject")
	case <-time.After(100 * time.Millisecond):
	}
	w.carry(w.a)
	if f := heard(t, w.a.owner.opened, "the flow"); !f.Adopted || f.Since().After(time.Now()) {
		t.Errorf("got adopted %t since %s, want it adopted", f.Adopted, f.Since())
	}
	if err := errors.Join(says(s.client, s.vm, "up"), says(s.vm, s.client, "down")); err != nil {
		t.Error(err)
	}
}

// A connection that ended while nobody could see it has ended; one that is only silent goes
// on.
func TestInjectedFlowWhoseEndsAreGone(t *testing.T) {
	w := newWorld(t)
	w.cfg.Poll = 200 * time.Millisecond
	w.start(w.b)
	gone, silent := w.session(), w.session()
	if err := w.a.Unplug(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []*net.TCPConn{gone.client, gone.vm} {
		_ = end.SetLinger(0) // what it says on closing reaches nobody
		_ = end.Close()
	}
	w.failOver(w.a, w.b)
	if got := heard(t, w.b.owner.ended, "the end of the one that is gone"); got.flow.Client().String() != gone.client.LocalAddr().String() {
		t.Errorf("got the end of %s, want that of %s", got.flow.Client(), gone.client.LocalAddr())
	}
	time.Sleep(2 * time.Second) // the silent one is asked in that time
	if err := errors.Join(says(silent.vm, silent.client, "from the VM"), says(silent.client, silent.vm, "from the client")); err != nil {
		t.Error(err)
	}
}

// A flow whose grant was taken away before its node died ends at both ends.
func TestRevokedFlowIsResetAtBothEnds(t *testing.T) {
	w := newWorld(t)
	w.cfg.Poll = 100 * time.Millisecond
	w.start(w.b)
	s := w.session()
	if err := w.a.Unplug(); err != nil {
		t.Fatal(err)
	}
	w.b.Forbid("admin", w.grant)
	if err := w.b.Settle(); err != nil {
		t.Fatal(err)
	}
	if failed, err := w.b.Inject(t.Context(), w.b.shared.all()); err != nil || len(failed) != 1 {
		t.Errorf("got %v and %v, want one flow without a grant", failed, err)
	}
	w.serve(w.b)
	for name, end := range map[string]*net.TCPConn{"client": s.client, "VM": s.vm} {
		_ = end.SetReadDeadline(time.Now().Add(patience))
		if _, err := end.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the %s: got %v, want a reset", name, err)
		}
	}
}
