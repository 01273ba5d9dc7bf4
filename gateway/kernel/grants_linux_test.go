package kernel

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
)

func number(i int) Grant {
	client := netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})
	return Grant{client, 5901, netip.MustParseAddrPort("10.8.0.50:5900"), 0}
}

// enabled is a kernel that asks rules by way of within.
func enabled(within func(func() error) error) *Kernel {
	k := New(Deps{Within: within})
	k.cfg.Enabled = true
	return k
}

// Who changes grants waits for nobody, and those who wait share transactions.
func TestManySettleAtOnce(t *testing.T) {
	const callers = 50
	entered, release := make(chan struct{}, callers), make(chan struct{})
	k := enabled(func(func() error) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	var settled sync.WaitGroup
	settle := func() {
		settled.Go(func() {
			if err := k.Settle(); err != nil {
				t.Error(err)
			}
		})
	}
	allow := func(i int) {
		if err := k.Allow(number(i)); err != nil {
			t.Error(err)
		}
	}
	allow(0)
	settle()
	<-entered // rules are being changed, and that takes its time
	noted := make(chan struct{})
	go func() {
		defer close(noted)
		for i := range callers {
			allow(1 + i)
			settle()
		}
		k.Forbid("admin", number(0), number(callers))
	}()
	select {
	case <-noted:
	case <-time.After(20 * time.Second):
		t.Fatal("Allow and Forbid wait for rules, want them only to note")
	}
	close(release)
	settled.Wait()
	if got := 1 + len(entered); got != 2 {
		t.Errorf("got %d transactions for %d callers, want 2", got, callers+1)
	}
	if got := len(k.Grants()); got != callers-1 || len(k.dirty) != 0 {
		t.Errorf("got %d grants, %d of them not told, want %d and 0", got, len(k.dirty), callers-1)
	}
}

func TestWhatWasRefusedIsToldAgain(t *testing.T) {
	odd := errors.New("odd")
	var told []int
	broken := true
	k := enabled(func(func() error) error {
		if broken {
			return odd
		}
		told = append(told, 1)
		return nil
	})
	for i := range 3 {
		if err := k.Allow(number(i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := k.Settle(); !errors.Is(err, odd) {
			t.Errorf("got %v, want %v", err, odd)
		}
	}
	k.mu.Lock()
	if got := len(k.dirty); got != 3 {
		t.Errorf("got %d grants to be told, want 3", got)
	}
	k.mu.Unlock()
	broken = false
	for range 2 {
		if err := k.Settle(); err != nil {
			t.Error(err)
		}
	}
	if len(told) != 1 || len(k.dirty) != 0 {
		t.Errorf("got %d transactions and %d grants not told, want 1 and 0", len(told), len(k.dirty))
	}
}

// Without the data path grants are noted, and nothing beside them.
func TestGrantsOfADisabledKernel(t *testing.T) {
	var asked atomic.Int32
	k := New(Deps{Within: func(func() error) error { asked.Add(1); return nil }})
	for i := range 1000 {
		if err := k.Allow(number(i)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			k.Forbid("admin", number(i))
		}
	}
	if err := k.Settle(); err != nil {
		t.Error(err)
	}
	if c, err := k.Counters(); c != (rules.Counters{}) || err != nil {
		t.Errorf("counters: got %+v and %v, want none", c, err)
	}
	if w := k.Warnings(); w != nil {
		t.Errorf("warnings: got %q, want none", w)
	}
	if got := len(k.Grants()); got != 500 || len(k.dirty) != 0 || asked.Load() != 0 {
		t.Errorf("got %d grants, %d marked, %d calls, want 500, 0 and 0", got, len(k.dirty), asked.Load())
	}
	if got := len(k.all()); got != 500 {
		t.Errorf("enabling tells %d grants, want 500", got)
	}
}

// What rules had still to be told when the data path ends is of no use any more.
func TestDisabledTellsNothing(t *testing.T) {
	asked := 0
	k := enabled(func(func() error) error { asked++; return nil })
	if err := k.Allow(number(1)); err != nil {
		t.Fatal(err)
	}
	if err := k.Apply(Config{}); err != nil {
		t.Fatal(err)
	}
	before := asked
	if err := k.Settle(); err != nil || asked != before || len(k.dirty) != 0 {
		t.Errorf("got %v, %d calls and %d grants to tell, want none", err, asked-before, len(k.dirty))
	}
}

// A relayed grant is one, but no flow is let through by it, nor injected.
func TestRelayedGrantHasNoFlows(t *testing.T) {
	k := New(Deps{})
	g := number(1)
	vm := g.VM
	g.VM = netip.AddrPort{}
	if err := k.Allow(g); err != nil {
		t.Fatal(err)
	}
	if got := k.Grants(); len(got) != 1 || got[0] != g {
		t.Errorf("got %v, want the grant", got)
	}
	s := shared{
		client: netip.AddrPortFrom(g.Client, 40000), virtual: netip.MustParseAddrPort("10.9.0.10:5901"),
		inside: netip.MustParseAddrPort("10.8.0.10:40000"), vm: vm,
	}
	if err := k.grantedHere(s); !errors.Is(err, ErrNotGranted) {
		t.Errorf("to be injected: got %v, want it refused", err)
	}
	f := &Flow{kernel: k, entry: s.flow(1), life: life{phase: joined}}
	if k.admit(f) {
		t.Error("a flow of its client was admitted, want it refused")
	}
	g.VM = vm
	if err := k.Allow(g); err != nil {
		t.Fatal(err)
	}
	if err := k.grantedHere(s); err != nil || !k.admit(f) {
		t.Errorf("it leads to the VM: got %v, want the flow admitted", err)
	}
	g.VM = netip.AddrPort{}
	if err := k.Allow(g); err != nil || f.life.doomed != "" {
		t.Errorf("relayed again: got %v and %q, want the flow to go on", err, f.life.doomed)
	}
	k.Forbid(Replaced, g)
	if f.life.doomed != Replaced {
		t.Errorf("without a grant: got %q, want the flow replaced", f.life.doomed)
	}
}

func TestRefusal(t *testing.T) {
	odd := errors.New("odd")
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	var r refusal
	for _, tt := range []struct {
		began, now int
		err        error
		log        bool
		again      int // -1: as before
	}{
		{0, 1, nil, false, -1},
		{10, 11, odd, true, 111},         // at the next tick
		{111, 112, odd, false, 212},      // it was logged
		{212, 712, odd, false, 5712},     // trying takes long
		{9000, 9001, nil, false, -1},     // nothing to say
		{10011, 10011, odd, true, 10111}, // it is time to log it again
	} {
		before := r.again
		if got := r.take(tt.err, at(tt.began), at(tt.now)); got != tt.log {
			t.Errorf("at %d: logged %t, want %t", tt.now, got, tt.log)
		}
		want := before
		if tt.again >= 0 {
			want = at(tt.again)
		}
		if !r.again.Equal(want) {
			t.Errorf("at %d: tried again at %s, want %s", tt.now, r.again, want)
		}
	}
}

// Whoever halts kicks is told when none goes on; later ones begin as ever.
func TestKicksAreHalted(t *testing.T) {
	var k kicks
	for range 2 {
		var ended atomic.Int32
		for range 3 {
			k.begin(t.Context(), func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(10 * time.Millisecond) // what it was at when it heard of it
				ended.Add(1)
			})
		}
		k.halt()
		if got := ended.Load(); got != 3 {
			t.Errorf("got %d kicks ended, want 3", got)
		}
	}
	k.halt()
}

// Health is asked often; the tables of others are looked at now and then.
func TestWarningsAreRemembered(t *testing.T) {
	asked := 0
	k := enabled(func(func() error) error { asked++; return nil })
	for range 3 {
		k.Warnings()
	}
	k.warned.at = k.warned.at.Add(-warnedFor)
	k.Warnings()
	if asked != 2 {
		t.Errorf("got %d looks, want 2", asked)
	}
}

// hearing writes down what an owner and a directory are told.
type hearing struct{ said []string }

func (h *hearing) Opened(*Flow) bool             { return true }
func (h *hearing) Joined(*Flow)                  {}
func (h *hearing) Ended(_ *Flow, r relay.Result) { h.said = append(h.said, string(r.Reason)) }
func (h *hearing) Spread(Record)                 {}
func (h *hearing) Forget(string)                 { h.said = append(h.said, "forgotten") }

// A flow that was reset before the node withdrew has ended, and has not moved.
func TestKickedFlowDoesNotMove(t *testing.T) {
	for _, tt := range []struct {
		kicked time.Time
		want   []string
	}{
		{time.Unix(1, 0), []string{"forgotten", "admin"}},
		{time.Time{}, []string{"moved"}},
	} {
		h := &hearing{}
		k := New(Deps{Owner: h, Directory: h})
		entry := conntrack.Translated(netip.MustParseAddrPort("10.9.0.100:40000"), netip.MustParseAddrPort("10.9.0.10:5901"),
			netip.MustParseAddrPort("10.8.0.10:40000"), netip.MustParseAddrPort("10.8.0.50:5900"))
		f := &Flow{kernel: k, entry: entry, life: life{phase: joined, doomed: "admin"}, spread: true, kicked: tt.kicked}
		k.flows[entry.Orig] = f
		k.moved(t.Context())
		if !slices.Equal(h.said, tt.want) {
			t.Errorf("kicked at %v: got %q, want %q", tt.kicked, h.said, tt.want)
		}
	}
}
