package kernel_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/relay"
)

func TestFlowsEndForAReason(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name string
		end  func(s session) error
		want relay.Reason
	}{
		{"the client finishes first", func(s session) error {
			return errors.Join(s.client.Close(), eof(s.vm), s.vm.Close())
		}, relay.ClientClosed},
		{"the VM finishes first", func(s session) error {
			return errors.Join(s.vm.Close(), eof(s.client), s.client.Close())
		}, relay.VMClosed},
		{"the client resets", func(s session) error { return errors.Join(s.client.SetLinger(0), s.client.Close()) }, relay.ClientClosed},
		{"the VM finishes, the client resets", func(s session) error {
			return errors.Join(s.vm.CloseWrite(), eof(s.client), s.client.SetLinger(0), s.client.Close())
		}, relay.VMClosed},
		{"it is killed", func(s session) error { s.flow.Kill("admin"); return nil }, "admin"},
	} {
		s := w.session()
		if err := errors.Join(says(s.client, s.vm, strings.Repeat("u", 1000)), says(s.vm, s.client, strings.Repeat("d", 3000))); err != nil {
			t.Fatal(err)
		}
		if err := tt.end(s); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		got := heard(t, w.a.owner.ended, tt.name)
		if got.flow != s.flow || got.Reason != tt.want || got.Err != nil {
			t.Errorf("%s: got %s and %v, want %s", tt.name, got.Reason, got.Err, tt.want)
		}
		if near := func(got, want int64) bool { return got >= want-60 && got <= want+60 }; !near(got.Up, 1000) || !near(got.Down, 3000) {
			t.Errorf("%s: got %d bytes up and %d down, want about 1000 and 3000", tt.name, got.Up, got.Down)
		}
		if left := w.a.shared.all(); len(left) != 0 {
			t.Errorf("%s: got %d records left, want none", tt.name, len(left))
		}
	}
}

func eof(c net.Conn) error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		return errors.New("got bytes, want the end")
	}
	return nil
}

// reset fails unless a connection is reset.
func reset(t *testing.T, what string, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: got %v, want a reset", what, err)
	}
}

func TestRevokedGrantEndsItsFlows(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	w.a.Forbid("admin", w.grant)
	w.settle(w.a)
	reset(t, "the client", s.client)
	reset(t, "the VM", s.vm)
	if got := heard(t, w.a.owner.ended, "its end"); got.Reason != "admin" {
		t.Errorf("got %s, want admin", got.Reason)
	}
	if _, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without a grant: got %v, want it refused", err)
	}
}

func TestVMThatCannotBeReached(t *testing.T) {
	w := newWorld(t)
	w.cfg.Dial = 300 * time.Millisecond
	if err := w.a.Apply(w.cfg); err != nil {
		t.Fatal(err)
	}
	_ = w.listener.Close()
	if _, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it refuses: got %v at the client, want that", err)
	}
	if got := heard(t, w.a.owner.ended, "an end"); got.Reason != kernel.VMUnreachable || !errors.Is(got.Err, kernel.ErrRefused) {
		t.Errorf("it refuses: got %s and %v", got.Reason, got.Err)
	}
	if err := w.vm.Unplug(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it is silent: got %v at the client, want it refused", err)
	}
	if got := heard(t, w.a.owner.ended, "an end"); got.Reason != kernel.VMUnreachable || !errors.Is(got.Err, kernel.ErrSilent) {
		t.Errorf("it is silent: got %s and %v", got.Reason, got.Err)
	}
}

func TestRestartedOwnerAdopts(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	w.a.stop()
	if err := says(s.client, s.vm, "nobody at home"); err != nil {
		t.Fatal(err)
	}
	w.start(w.a)
	f := heard(t, w.a.owner.opened, "the flow adopted")
	if !f.Adopted || f.Client().String() != s.client.LocalAddr().String() {
		t.Errorf("got %v, adopted %t", f.Client(), f.Adopted)
	}
	f.Kill("admin")
	reset(t, "the client", s.client)
	reset(t, "the VM", s.vm)
	if got := heard(t, w.a.owner.ended, "its end"); got.Reason != "admin" || got.Up < 10 || got.Up > 20 {
		t.Errorf("got %s after %d bytes, want admin after 14", got.Reason, got.Up)
	}
}

func TestRepeatedOpenReplacesTheOldest(t *testing.T) {
	w := newWorld(t)
	w.grant.Limit = 1
	w.allow(w.a, w.grant)
	first := w.session()
	if _, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("over the limit: got %v, want it refused", err)
	}
	w.allow(w.a, w.grant)
	second := w.session()
	reset(t, "the first client", first.client)
	if got := heard(t, w.a.owner.ended, "its end"); got.flow != first.flow || got.Reason != kernel.Replaced {
		t.Errorf("got %s, want the first one replaced", got.Reason)
	}
	if err := says(second.client, second.vm, "hello"); err != nil {
		t.Errorf("the second session: %v", err)
	}
}

func TestOwnerRefuses(t *testing.T) {
	w := newWorld(t)
	w.a.owner.refuse.Store(true)
	c, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience)
	if err == nil {
		reset(t, "the client", c)
	}
}

func TestKillIsPrompt(t *testing.T) {
	w := newWorld(t)
	var all []session
	for range 50 {
		all = append(all, w.session())
	}
	began := time.Now()
	for _, s := range all {
		s.flow.Kill("idle")
	}
	for _, s := range all {
		reset(t, "a client", s.client)
		reset(t, "a VM", s.vm)
	}
	t.Logf("100 ends of idle flows were reset within %s", time.Since(began))
	for range all {
		if got := heard(t, w.a.owner.ended, "an end"); got.Reason != "idle" {
			t.Errorf("got %s, want idle", got.Reason)
		}
	}
}

// Without the data path what lives goes on, new flows do not begin, and the table goes
// with the last one.
func TestDisabledLetsFlowsGoOn(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	off := w.cfg
	off.Enabled = false
	if err := w.a.Apply(off); err != nil {
		t.Fatal(err)
	}
	if err := says(s.client, s.vm, "still here"); err != nil {
		t.Error(err)
	}
	l, err := w.a.Listen(netip.AddrPortFrom(virtual, 5901).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5901), patience)
	if err != nil {
		t.Fatalf("a relay on the port: got %v, want a connection", err)
	}
	_ = c.Close()
	s.flow.Kill("admin")
	heard(t, w.a.owner.ended, "its end")
	w.eventually("end of the table", func() bool { return !w.table(w.a) })
	if err := w.a.Apply(w.cfg); err != nil {
		t.Fatal(err)
	}
	w.session()
}

func TestStatsShowWhenSomethingMoved(t *testing.T) {
	w := newWorld(t)
	w.cfg.Poll = 50 * time.Millisecond
	if err := w.a.Apply(w.cfg); err != nil {
		t.Fatal(err)
	}
	s := w.session()
	before := s.flow.Stats().LastActivity
	if err := says(s.vm, s.client, strings.Repeat("d", 500)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if got := s.flow.Stats(); got.Down >= 450 && got.LastActivity.After(before) {
			return
		} else if time.Now().After(end) {
			t.Fatalf("got %+v, want 500 bytes down", got)
		}
	}
}

// Between two looks at the counters nobody knows whether a flow idles.
func TestWhatWasNotLookedAtIsNotIdle(t *testing.T) {
	w := newWorld(t) // which hardly ever looks
	s := w.session()
	time.Sleep(300 * time.Millisecond) // so long that it could be told from idling
	if idle := time.Since(s.flow.Stats().LastActivity); idle > 250*time.Millisecond {
		t.Errorf("got %s without activity, want less than since it began", idle)
	}
}

// While the owner is slow and the buffer small, events are lost; the flows are not.
func TestLostEventsLoseNoFlow(t *testing.T) {
	w := newWorld(t)
	w.a.stop()
	w.a.buffer = 1
	w.start(w.a)
	w.a.owner.busy.Lock() // the loop stands still at the first flow
	const n = 600
	missing := map[string]bool{}
	for range n {
		c, _ := w.connect()
		missing[c.LocalAddr().String()] = true
	}
	w.a.owner.busy.Unlock()
	for len(missing) > 0 {
		f := heard(t, w.a.owner.joined, "all flows")
		delete(missing, f.Client().String())
		if f.Adopted {
			t.Fatal("got a flow as adopted, want it begun here: it would be missing in the audit")
		}
	}
}
