package gateway

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	closed := newEcho(t)
	closed.listener.Close()
	for _, tt := range []struct {
		name string
		vm   netip.AddrPort
		want error
	}{
		{"nobody listens", closed.addr, ErrVMUnreachable},
		{"nobody answers", deaf(t), ErrVMTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Timeouts.Dial = 200 * time.Millisecond })
			begin := time.Now()
			_, err := r.ask("127.0.0.5", tt.vm, probing)
			refusedWith(t, err, tt.want)
			if took := time.Since(begin); took > prompt {
				t.Errorf("got an answer after %s, want one soon after 200ms", took)
			}
			if got := r.Health().Used; got != 0 || len(r.openPorts()) != 0 {
				t.Errorf("got %d grants left, want none", got)
			}
			g, err := r.ask("127.0.0.5", tt.vm) // not asked for, not done
			if err != nil {
				t.Fatal(err)
			}
			r.refusedAt(g)
			eventually(t, "the failure told", func() bool { return r.audit.count(EventFailed) == 1 })
			if e := r.audit.of(g.ID)[0]; e.Reason != ReasonVMUnreachable || e.Detail == "" {
				t.Errorf("got %+v, want why", e)
			}
			if now, ok := r.the(g.ID); !ok || now.State != StateGranted || now.Channels != 0 {
				t.Errorf("got %+v, want the grant unused", now)
			}
		})
	}
}

func TestProbeLeavesNoConnection(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, probing)
	eventually(t, "the probe's connection", func() bool { return vm.accepted.Load() == 1 })
	says(t, r.enter(g), "hello")
	// Its session needs no probe.
	r.granted("127.0.0.6", vm.addr, as("ada"), probing)
	again := func() Grant { return r.granted("127.0.0.6", vm.addr, as("ada"), probing) }
	says(t, r.enter(again()), "hello")
	eventually(t, "all connections at the VM", func() bool { return vm.accepted.Load() == 5 })
	if got := again(); !got.Reopened || vm.accepted.Load() != 5 {
		t.Errorf("got %+v and %d connections, want no probe of a VM in use", got, vm.accepted.Load())
	}
}

// named is a rig whose names mean what the test says.
func named(t testing.TB, names map[string][]netip.Addr, changes ...func(*Config)) *rig {
	addr := loopbackOf(t)
	return startRig(t, addr, configFor(addr, changes...), Deps{
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) { return slices.Clone(names[host]), nil },
	})
}

func (r *rig) askName(client, host string, port uint16, changes ...func(*OpenRequest)) (Grant, error) {
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	return r.ask(client, at, append(changes, func(q *OpenRequest) { q.VMAddr = host })...)
}

// dial_ms is for the VM, not for each of its addresses.
func TestDialTimeIsForAllAddressesTogether(t *testing.T) {
	one, vm := netip.MustParseAddr("127.0.0.1"), deaf(t)
	r := named(t, map[string][]netip.Addr{"deaf": slices.Repeat([]netip.Addr{one}, 50)}, func(c *Config) {
		c.Timeouts.Dial = 500 * time.Millisecond
	})
	begin := time.Now()
	_, err := r.askName("127.0.0.5", "deaf", vm.Port(), probing)
	refusedWith(t, err, ErrVMTimeout)
	if took := time.Since(begin); took > prompt {
		t.Errorf("got an answer after %s, want one soon after 500ms", took)
	}
}

func TestDialTriesTheNextAddress(t *testing.T) {
	one, two := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	both := func(c *Config) {
		c.Targets.Allow = append(c.Targets.Allow, Target{Prefix: netip.PrefixFrom(two, 32)})
		c.Timeouts.Dial = time.Second
	}
	r, vm := named(t, map[string][]netip.Addr{"vm": {two, one}}, both), newEcho(t)
	g, err := r.askName("127.0.0.5", "vm", vm.addr.Port(), probing)
	if err != nil {
		t.Fatal(err)
	}
	says(t, r.enter(g), "hello at the second address")
	if now, _ := r.the(g.ID); now.VMAddr != "vm" {
		t.Errorf("got %s, want the name that was asked for", now.VMAddr)
	}
}
