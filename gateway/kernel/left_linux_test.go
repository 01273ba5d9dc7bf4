package kernel_test

import (
	"errors"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
)

// leave ends the data path of a, as if its host's settings were changed while it is down.
func (w *world) leave() {
	w.t.Helper()
	w.a.stop()
	w.cfg.Enabled, w.cfg.Former, w.cfg.Rules = false, true, rules.Config{}
	if !w.table(w.a) {
		w.t.Fatal("got no table after the end of its process, want it")
	}
}

// A process that is to have no table finds one by which flows live: they go on, can be
// ended, and the table goes with the last.
func TestFlowsLeftBehindGoOn(t *testing.T) {
	w := newWorld(t)
	idle := w.grant
	idle.Port = 5902 // nobody uses it when it is left
	w.allow(w.a, idle)
	s := w.session()
	enabled := w.cfg
	w.leave()
	w.apply(w.a)
	w.run(w.a)
	f := heard(t, w.a.owner.opened, "the flow adopted")
	heard(t, w.a.owner.joined, "it joined")
	if !f.Adopted || f.Client().String() != s.client.LocalAddr().String() {
		t.Errorf("got %v, adopted %t", f.Client(), f.Adopted)
	}
	if got := w.a.Grants(); len(got) != 1 || got[0] != w.grant {
		t.Errorf("got the grants %v, want that of the flow", got)
	}
	if err := errors.Join(says(s.client, s.vm, "still here"), says(s.vm, s.client, "me too")); err != nil {
		t.Error(err)
	}
	l, err := w.a.Listen(netip.AddrPortFrom(virtual, 5901).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.relayed("a relay on the port", l, 5901)
	if !w.table(w.a) {
		t.Error("got no table while the flow lives, want it")
	}
	f.Kill("admin")
	reset(t, "the client", s.client)
	reset(t, "the VM", s.vm)
	if got := heard(t, w.a.owner.ended, "its end"); got.Reason != "admin" {
		t.Errorf("got %s, want admin", got.Reason)
	}
	w.eventually("end of the table", func() bool { return !w.table(w.a) })
	if got := w.a.Grants(); len(got) != 0 {
		t.Errorf("got the grants %v, want none that nobody has asked for", got)
	}
	w.cfg = enabled
	if err := w.a.Apply(w.cfg); err != nil {
		t.Fatal(err)
	}
	w.allow(w.a, w.grant)
	w.session()
}

func TestOwnerRefusesWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	w.leave()
	w.apply(w.a)
	w.a.owner.refuse.Store(true)
	w.run(w.a)
	reset(t, "the client", s.client)
	reset(t, "the VM", s.vm)
	w.eventually("end of the table", func() bool { return !w.table(w.a) })
}

// Without a flow it goes at once.
func TestTableLeftBehindIsRemoved(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	_, _ = s.client.Close(), s.vm.Close()
	heard(t, w.a.owner.ended, "its end")
	w.leave()
	w.apply(w.a)
	if w.table(w.a) {
		t.Error("got a table that nobody lives by, want none")
	}
	if got := w.a.Grants(); len(got) != 0 {
		t.Errorf("got the grants %v, want none", got)
	}
}

// Most hosts have no table, and may not even ask for one.
func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	w.cfg.Enabled = false
	w.apply(w.b)
	if w.b.asked.Load() != 0 {
		t.Error("got nftables asked although no process before has had a table, want it left alone")
	}
	w.cfg.Former = true
	w.apply(w.b)
	if w.table(w.b) || w.b.asked.Load() != 1 {
		t.Errorf("got a table: %t, and nftables asked %d times, want none and one", w.table(w.b), w.b.asked.Load())
	}
	for range 3 {
		if err := w.b.Apply(w.cfg); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.b.asked.Load(); got != 1 {
		t.Errorf("got nftables asked %d times, want once", got)
	}
	w.a.stop()
	err := without(unix.CAP_NET_ADMIN, func() error { w.apply(w.a); return nil })
	if err != nil {
		t.Error(err)
	}
	if !w.table(w.a) {
		t.Error("without the capability: the table is gone, want the test to lack it")
	}
}

// without calls f without a capability.
func without(capability uint, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		return err
	}
	after := before
	after[0].Effective &^= 1 << capability
	if err := unix.Capset(&header, &after[0]); err != nil {
		return err
	}
	return errors.Join(f(), unix.Capset(&header, &before[0]))
}

// After a stop on purpose nobody is to go on by the table.
func TestClearTakesAwayWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	w.leave()
	for _, want := range []bool{true, false} {
		err := w.a.Host.Do(func() error {
			there, err := kernel.Clear()
			if there != want {
				t.Errorf("got a table found: %t, want %t", there, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if w.table(w.a) {
		t.Error("got a table after it was cleared away, want none")
	}
	_, _ = s.client.Close(), s.vm.Close()
}
