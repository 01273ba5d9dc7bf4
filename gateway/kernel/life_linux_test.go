package kernel

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	ct "vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/relay"
)

func update(id uint32, s ct.State, first ct.Side) ct.Event {
	return ct.Event{Kind: ct.Update, Flow: ct.Flow{ID: id, State: s, First: first}}
}

func gone(id uint32, packets uint64) ct.Event {
	return ct.Event{Kind: ct.Destroy, Flow: ct.Flow{ID: id, Back: ct.Counters{Packets: packets}}}
}

func TestLife(t *testing.T) {
	c, v := ct.ClientSide, ct.VMSide
	for _, tt := range []struct {
		name   string
		doomed relay.Reason
		events []ct.Event
		joined bool
		over   bool
		reason relay.Reason
		err    error
	}{
		{"the VM has not answered", "", []ct.Event{update(1, ct.SynSent, 0), update(1, ct.SynRecv, 0)}, false, false, "", nil},
		{"established", "", []ct.Event{update(1, ct.Established, 0)}, true, false, "", nil},
		{"half closed", "", []ct.Event{update(1, ct.Established, 0), update(1, ct.CloseWait, c)}, true, false, "", nil},
		{"the client was first", "", []ct.Event{update(1, ct.Established, 0), update(1, ct.FinWait, c), update(1, ct.TimeWait, c)}, true, true, relay.ClientClosed, nil},
		{"the VM was first", "", []ct.Event{update(1, ct.FinWait, v), update(1, ct.LastAck, v), update(1, ct.TimeWait, v)}, true, true, relay.VMClosed, nil},
		{"a reset", "", []ct.Event{update(1, ct.Established, 0), update(1, ct.Close, 0)}, true, true, relay.ClientClosed, nil},
		{"the VM finished, then a reset", "", []ct.Event{update(1, ct.FinWait, v), update(1, ct.Close, 0)}, true, true, relay.VMClosed, nil},
		{"its time ran out", "", []ct.Event{update(1, ct.Established, 0), gone(1, 5)}, true, true, relay.KeepaliveTimeout, nil},
		{"all between two looks", "", []ct.Event{update(1, ct.TimeWait, v)}, true, true, relay.VMClosed, nil},
		{"the VM refuses", "", []ct.Event{update(1, ct.SynSent, 0), gone(1, 1)}, false, true, VMUnreachable, ErrRefused},
		{"the VM refuses, the entry stays", "", []ct.Event{update(1, ct.SynSent, 0), update(1, ct.Close, 0)}, false, true, VMUnreachable, ErrRefused},
		{"the VM is silent", "", []ct.Event{update(1, ct.SynSent, 0), gone(1, 0)}, false, true, VMUnreachable, ErrSilent},
		{"killed", "admin", []ct.Event{update(1, ct.Established, 0), gone(1, 9)}, true, true, "admin", nil},
		{"killed before the VM answered", "admin", []ct.Event{gone(1, 0)}, false, true, "admin", relay.ErrKilled},
		{"the end of an earlier entry", "", []ct.Event{update(2, ct.Established, 0), gone(1, 9)}, true, false, "", nil},
		{"what is older", "", []ct.Event{update(1, ct.Established, 0), update(1, ct.SynRecv, 0)}, true, false, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := life{doomed: tt.doomed}
			var all verdict
			for _, e := range tt.events {
				var v verdict
				l, v = l.hear(e, time.Unix(1, 0))
				all.joined = all.joined || v.joined
				if v.over {
					all.over, all.reason, all.err = true, v.reason, v.err
				}
			}
			if all.joined != tt.joined || all.over != tt.over || all.reason != tt.reason || !errors.Is(all.err, tt.err) {
				t.Errorf("got %+v", all)
			}
		})
	}
}

// Whatever comes in whatever order: a flow joins once at most, ends once at most, and
// nothing comes after its end.
func TestLifeIsOneWay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var l life
		joined, ended := 0, 0
		for range 12 {
			e := update(1+r.Uint32N(2), ct.State(r.IntN(10)), ct.Side(r.IntN(3)))
			if r.IntN(6) == 0 {
				e.Kind = ct.Destroy
			}
			var v verdict
			l, v = l.hear(e, time.Unix(1, 0))
			if ended > 0 && v != (verdict{}) {
				t.Fatalf("got %+v after the end", v)
			}
			if v.joined {
				joined++
			}
			if v.over {
				ended++
			}
			if v.over && v.reason == "" {
				t.Fatal("got an end without a reason")
			}
		}
		if joined > 1 || ended > 1 {
			t.Fatalf("got %d beginnings and %d ends", joined, ended)
		}
	}
}

func TestDue(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for _, tt := range []struct {
		name string
		life life
		want relay.Reason
	}{
		{"calling, in time", life{born: at(95)}, ""},
		{"calling for too long", life{born: at(90)}, VMUnreachable},
		{"joined", life{phase: joined, born: at(1)}, ""},
		{"half closed, and silent", life{phase: joined, half: at(50), active: at(50), first: ct.VMSide}, relay.VMClosed},
		{"half closed, and busy", life{phase: joined, half: at(50), active: at(99)}, ""},
		{"killed already", life{born: at(1), doomed: "admin"}, ""},
	} {
		if got := tt.life.due(at(100), 10*time.Second, 30*time.Second); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The kernel lets through at least as many as there is room for, and exactly as many
// unless flows under many limits live.
func TestClass(t *testing.T) {
	for _, tt := range []struct {
		name          string
		current, room int
		counted       map[int]int
		want          int
	}{
		{"nobody yet", 0, 3, nil, 3},
		{"all counted", 3, 1, map[int]int{3: 2}, 3},
		{"full", 3, 0, map[int]int{3: 3}, 3},
		{"full of adopted ones", 3, 0, nil, 0},
		{"two adopted", 4, 2, nil, 2},
		{"the limit is in use", 4, 2, map[int]int{2: 1}, 3},
		{"one gives way", 1, 1, map[int]int{1: 1}, 2},
	} {
		if got := class(tt.current, tt.room, func(l int) int { return tt.counted[l] }); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestPayload(t *testing.T) {
	for _, tt := range []struct {
		name       string
		c          ct.Counters
		four, bare bool
		begun      bool
		want       int64
	}{
		{"nothing", ct.Counters{}, true, false, true, 0},
		{"a SYN", ct.Counters{Packets: 1, Bytes: 60}, true, false, true, 0},
		{"a SYN of IPv6", ct.Counters{Packets: 1, Bytes: 80}, false, false, true, 0},
		{"a SYN and 1000 bytes", ct.Counters{Packets: 3, Bytes: 60 + 52 + 1052}, true, false, true, 1000},
		{"without timestamps", ct.Counters{Packets: 2, Bytes: 52 + 140}, true, true, true, 100},
		{"of an injected flow", ct.Counters{Packets: 2, Bytes: 2*52 + 7}, true, false, false, 7},
	} {
		if got := payload(tt.c, tt.four, tt.bare, tt.begun); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestGrantsThatCannotBe(t *testing.T) {
	good := Grant{netip.MustParseAddr("10.9.0.100"), 5901, netip.MustParseAddrPort("10.8.0.50:5900"), 2}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Grant){
		"no client":      func(g *Grant) { g.Client = netip.Addr{} },
		"no port":        func(g *Grant) { g.Port = 0 },
		"no port of VM":  func(g *Grant) { g.VM = netip.AddrPortFrom(g.VM.Addr(), 0) },
		"another family": func(g *Grant) { g.Client = netip.MustParseAddr("fd09::1") },
		"a mapped one":   func(g *Grant) { g.Client = netip.MustParseAddr("::ffff:10.9.0.1") },
		"below 0":        func(g *Grant) { g.Limit = -1 },
		"beyond limits":  func(g *Grant) { g.Limit = maxLimit + 1 },
	} {
		g := good
		change(&g)
		if New(Deps{}).Allow(g) == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

// Between two looks nobody knows better: who was in use still is.
func TestWhoIsInUseIsNotIdleBetweenLooks(t *testing.T) {
	k := New(Deps{})
	f := &Flow{kernel: k}
	f.count(ct.Flow{Counted: true, Sent: ct.Counters{Packets: 10, Bytes: 5000}}, time.Unix(100, 0))
	k.looked = time.Unix(100, 0)
	if got := f.active(time.Unix(104, 0)); got != time.Unix(104, 0) {
		t.Errorf("after the look that saw it: got last active at %d, want 104", got.Unix())
	}
	k.looked = time.Unix(105, 0)
	if got := f.active(time.Unix(109, 0)); got != time.Unix(100, 0) {
		t.Errorf("after one that did not: got last active at %d, want 100", got.Unix())
	}
}
