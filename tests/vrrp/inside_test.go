package vrrp

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	product "vdi-gateway/vrrp"
)

const insideFour, insideSix = "10.98.0.10", "fd98::10"

// pair are two routers between two networks. Addresses of both move together.
type pair struct {
	t       testing.TB
	out, in *rig // watch one address each
	routers []*router
}

// newPair starts two routers and waits until the first one, with the higher priority,
// has the addresses.
func newPair(t testing.TB, virtual, inside, insideOn string, prepare time.Duration) *pair {
	t.Helper()
	p := &pair{t: t, out: newRig(t, virtual), in: &rig{t: t, network: lab.New(t), virtual: netip.MustParseAddr(inside)}}
	if p.in.virtual.Is6() && !lab.IPv6() {
		t.Skip("this kernel has no IPv6")
	}
	p.in.client = p.in.network.Host("vm", "10.98.0.150/24", "fd98::150/64")
	for i := range 2 {
		out := p.out.network.Host(fmt.Sprintf("router%d", i+1), fmt.Sprintf("10.99.0.%d/24", i+1), fmt.Sprintf("fd99::%d/64", i+1))
		in := p.in.network.Join(out, fmt.Sprintf("10.98.0.%d/24", i+1), fmt.Sprintf("fd98::%d/64", i+1))
		whole := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
		p.routers = append(p.routers, &router{t: t, out: out, in: in, plan: plan{Prepare: prepare, Config: product.Config{
			Addrs: []netip.Prefix{whole(p.out.virtual)}, Inside: []product.Placed{{Prefix: whole(p.in.virtual), Interface: insideOn}},
			Interface: "eth0", Node: out.Addr(), Version: 3, VRID: routerID, Priority: uint8(254 - 10*i),
			Interval: interval, Checksum: product.ChecksumPseudo,
		}}})
	}
	p.out.watch()
	p.in.watch()
	t.Cleanup(p.tell)
	for _, r := range p.routers {
		r.launch()
		r.competes()
		p.out.settled()
	}
	p.has(p.routers[0], time.Now(), patience)
	return p
}

// tell logs what the routers said, when something is wrong.
func (p *pair) tell() {
	for _, r := range p.routers {
		for i, process := range append(r.former, r.process) {
			if p.t.Failed() && process != nil {
				p.t.Logf("log of %s, run %d:\n%s", r.out.Name(), i+1, process.Output())
			}
		}
	}
}

// has wants a router to have all addresses, alone, within limit.
func (p *pair) has(r *router, since time.Time, limit time.Duration) {
	p.t.Helper()
	p.out.only(r.out, since, limit)
	p.in.only(r.in, since, limit)
	if apart := p.out.lastChange().Sub(p.in.lastChange()).Abs(); apart > slack {
		p.t.Errorf("the addresses came or went %s after one another, want it at once", apart)
	}
}

// knows wants the neighbour inside to send to a router, without asking for the address:
// it does not send anything.
func (p *pair) knows(r *router) {
	p.t.Helper()
	want := r.mac()
	eventually(p.t, "the neighbour inside knows "+r.out.Name(), func() bool { return strings.Contains(p.neighbour(), want) })
}

// neighbour is what the table of the neighbour inside says of the address.
func (p *pair) neighbour() string {
	text, err := p.in.client.Run(soon(p.t), exec.Command("ip", "neigh", "show", p.in.virtual.String()))
	p.in.try(err)
	return text
}

// meets has the neighbour inside ask for the address.
func (p *pair) meets(r *router) {
	p.t.Helper()
	conn := p.in.packets(p.in.client, 0)
	to := netip.AddrPortFrom(p.in.virtual, echoPort)
	_, err := conn.WriteTo([]byte("?"), net.UDPAddrFromAddrPort(to))
	p.in.try(err)
	p.knows(r)
}

func TestAddressesInsideMoveAlong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ virtual, inside, on string }{
		{four, insideFour, ""}, {four, insideSix, "eth1"}, {six, insideFour, "eth1"}, {six, insideSix, ""},
	} {
		for _, m := range mishaps() {
			if !full && (m.full || c.virtual != four || c.inside != insideFour && m.name != "the process is killed") {
				continue
			}
			t.Run(fmt.Sprintf("%s, %s and %s", m.name, c.virtual, c.inside), func(t *testing.T) {
				t.Parallel()
				steady(t, func(t testing.TB) { newPair(t, c.virtual, c.inside, c.on, 0).move(m) })
			})
		}
	}
}

// move wants the other router to have all addresses, the neighbour inside to know, and
// the victim not to take them back.
func (p *pair) move(m mishap) {
	p.t.Helper()
	victim, other := p.routers[0], p.routers[1]
	p.meets(victim)
	at := time.Now()
	undo := m.does(p, victim)
	p.out.takes(other.out, at, masterDown())
	p.in.takes(other.in, at, masterDown())
	p.out.gone(victim.out, at, m.gone)
	p.in.gone(victim.in, at, m.gone)
	p.knows(other)
	alone := time.Now()
	undo()
	victim.competes()
	p.out.keeps(other.out, alone, time.Since(alone)+2*masterDown())
	p.in.keeps(other.in, alone, time.Since(alone)+2*masterDown())
	eventually(p.t, "the victim has heard who is active", func() bool {
		return strings.Contains(victim.process.Output(), "follows "+source(other))
	})
}

// source is where a router's advertisements come from: its own address, or over IPv6 the
// link-local one.
func source(r *router) string {
	if r.plan.Config.Addrs[0].Addr().Is4() {
		return r.out.Addr().String()
	}
	return "fe80::"
}

// An address inside that is on an interface without a link is no good: the node says so.
func TestRouterWithoutLinkInsideSaysSo(t *testing.T) {
	t.Parallel()
	steady(t, func(t testing.TB) {
		p := newPair(t, four, insideFour, "", 0)
		for _, r := range p.routers {
			p.out.try(r.in.Cut())
		}
		for _, r := range p.routers {
			eventually(t, r.out.Name()+" does not compete, and names eth1", func() bool {
				return r.role() == "fault" && strings.Contains(r.process.Output(), "interface eth1 has no link")
			})
		}
		eventually(t, "nobody has the addresses", func() bool { return len(p.out.owners.Now()) == 0 && len(p.in.owners.Now()) == 0 })
		for _, r := range p.routers {
			p.out.try(r.in.Mend())
		}
		winner := p.out.settled()
		p.in.only(p.routers[indexOf(p, winner)].in, time.Now(), patience)
	})
}

func indexOf(p *pair, h *lab.Host) int {
	if p.routers[0].out == h {
		return 0
	}
	return 1
}

// Whatever ends, however it does, nothing stays on any host.
func TestNothingInsideIsLeft(t *testing.T) {
	t.Parallel()
	steady(t, func(t testing.TB) {
		p := newPair(t, four, insideFour, "", 0)
		at := time.Now()
		for _, r := range []*router{p.routers[1], p.routers[0]} { // the backup first
			r.perish()
		}
		for _, leg := range []*rig{p.out, p.in} {
			eventually(t, "nobody has the address", func() bool { return len(leg.owners.Now()) == 0 })
			if took := leg.lastChange().Sub(at); took > kernelTime {
				t.Errorf("%s: got it off after %s, want it within %s", leg.virtual, took, kernelTime)
			}
		}
	})
}

// What a node has to prepare is ready before it has any of the addresses.
func TestPreparedBeforeTheAddresses(t *testing.T) {
	t.Parallel()
	steady(t, func(t testing.TB) {
		const prepare = 200 * time.Millisecond
		p := newPair(t, four, insideFour, "", prepare)
		at, other := time.Now(), p.routers[1]
		p.out.try(p.routers[0].process.Stop())
		p.has(other, at, masterDown()+prepare)
		if took := p.out.lastChange().Sub(at); took < prepare {
			t.Errorf("got the address after %s, want it after %s of preparing", took, prepare)
		}
		if said := other.process.Output(); !strings.Contains(said, "prepared with 0 of the addresses here") {
			t.Errorf("got %s, want it to prepare without the addresses", said)
		}
	})
}

// An address inside that a crash has left goes when the node starts, or when it is
// released.
func TestLeftoverInsideIsRemoved(t *testing.T) {
	t.Parallel()
	steady(t, func(t testing.TB) {
		p := newPair(t, four, insideFour, "", 0)
		backup := p.routers[1]
		p.out.try(backup.process.Stop())
		p.in.try(backup.in.Take(p.in.virtual))
		eventually(t, "it is there twice", func() bool { return len(p.in.owners.Now()) == 2 })
		backup.launch()
		backup.competes()
		p.in.only(p.routers[0].in, time.Now(), patience)
		p.out.try(backup.process.Stop())
		p.in.try(backup.in.Take(p.in.virtual))
		var found []netip.Addr
		p.in.try(backup.in.Do(func() (err error) {
			c := backup.plan.Config
			found, err = product.Release([]netip.Prefix{c.Addrs[0], c.Inside[0].Prefix})
			return err
		}))
		if len(found) != 1 || found[0] != p.in.virtual {
			t.Errorf("got %v released, want %s", found, p.in.virtual)
		}
		p.in.only(p.routers[0].in, time.Now(), patience)
	})
}
