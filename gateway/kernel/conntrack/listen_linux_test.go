package conntrack_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/tests/lab"
)

// tuned is a host whose conntrack tells of every flow.
func tuned(t *testing.T) (*lab.Host, *conntrack.Table) {
	t.Helper()
	h := host(t)
	table := open(t, h)
	if err := h.Do(func() error { _, err := conntrack.Tune(conntrack.Tuning{}); return err }); err != nil {
		t.Fatal(err)
	}
	return h, table
}

func TestEventsOfASession(t *testing.T) {
	for _, e := range families() {
		t.Run(e.name, func(t *testing.T) {
			w := newWorld(t, e)
			l, events := listen(t, w.a, conntrack.ListenConfig{Filter: conntrack.Filter{Mark: ours, Mask: 0xff}})
			if !l.Filtered() {
				t.Error("got no filter in the kernel, want one")
			}
			s := w.session()
			client := s.client.LocalAddr().String()
			mine := func(kind conntrack.Kind, states ...conntrack.State) func(conntrack.Event) bool {
				return func(e conntrack.Event) bool {
					fits := len(states) == 0
					for _, s := range states {
						fits = fits || e.Flow.State == s
					}
					return e.Kind == kind && fits && e.Flow.Client().String() == client
				}
			}
			born := await(t, events, "new", mine(conntrack.New))
			if born.Flow.VM().Addr() != e.vm || born.Flow.Inside().Addr() != e.inside || born.Flow.Mark != ours || born.By != 0 {
				t.Errorf("got %+v, want a translated flow of ours, made by packets", born)
			}
			await(t, events, "established", mine(conntrack.Update, conntrack.Established))
			if err := says(s.client, s.vm, "hello"); err != nil {
				t.Fatal(err)
			}
			_ = s.client.Close()
			ending := await(t, events, "the end", mine(conntrack.Update, conntrack.FinWait, conntrack.CloseWait))
			if !ending.Flow.State.Ending() {
				t.Errorf("got %s, which is not an end", ending.Flow.State)
			}
			_ = s.vm.SetLinger(0)
			_ = s.vm.Close()
			await(t, events, "closed", mine(conntrack.Update, conntrack.Close))
			failed, err := w.tableA.Delete(t.Context(), born.Flow)
			none(t, failed, err)
			gone := await(t, events, "destroyed", mine(conntrack.Destroy))
			if gone.By != w.tableA.Port() || !gone.Flow.Counted || gone.Flow.Sent.Packets < 3 {
				t.Errorf("got %+v, want it counted, and deleted by port %d", gone, w.tableA.Port())
			}
		})
	}
}

func TestOnlyWhatWasAskedForIsHeard(t *testing.T) {
	all := families()
	h, table := tuned(t)
	_, events := listen(t, h, conntrack.ListenConfig{
		Kinds:  conntrack.New | conntrack.Destroy,
		Filter: conntrack.Filter{Mark: 0x10, Mask: 0xf0, Family: 4},
	})
	wrong := all[0].flow(1)
	unmarked := all[0].flow(2)
	unmarked.Mark = 0
	first, last := all[0].flow(3), all[0].flow(4)
	first.Mark, last.Mark = 0x1f, 0x10
	flows := []conntrack.Flow{wrong, unmarked, first}
	if len(all) > 1 {
		six := all[1].flow(5)
		six.Mark = 0x10
		flows = append(flows, six)
	}
	failed, err := table.Inject(t.Context(), append(flows, last))
	none(t, failed, err)
	failed, err = table.SetMark(t.Context(), 0x11, first) // an update, which nobody asked for
	none(t, failed, err)
	failed, err = table.Delete(t.Context(), first, wrong)
	none(t, failed, err)
	failed, err = table.Delete(t.Context(), last)
	none(t, failed, err)
	for _, want := range []struct {
		kind conntrack.Kind
		port uint16
	}{{conntrack.New, 3}, {conntrack.New, 4}, {conntrack.Destroy, 3}, {conntrack.Destroy, 4}} {
		e := await(t, events, want.kind.String(), func(conntrack.Event) bool { return true })
		if e.Kind != want.kind || e.Flow.Client().Port() != want.port || e.By != table.Port() {
			t.Errorf("got %s of %s by %d, want %s of port %d by %d", e.Kind, e.Flow.Orig, e.By, want.kind, want.port, table.Port())
		}
	}
}

// TestOthersFlowsTakeNoRoom has a buffer that would overrun if the kernel put everybody's
// flows there.
func TestOthersFlowsTakeNoRoom(t *testing.T) {
	h, table := tuned(t)
	var l *conntrack.Listener
	err := h.Do(func() (err error) {
		l, err = conntrack.Listen(conntrack.ListenConfig{Filter: conntrack.Filter{Mark: 9, Mask: 0xff}, Buffer: 64 << 10})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if !l.Filtered() {
		t.Skip("this kernel lets nobody filter")
	}
	flows := many(families()[0], 5000)
	flows[4999].Mark = 9
	failed, err := table.Inject(t.Context(), flows)
	none(t, failed, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var heard []conntrack.Event
	err = l.Run(ctx, func(e conntrack.Event) {
		heard = append(heard, e)
		cancel()
	})
	if err != nil || len(heard) != 1 || !heard[0].Flow.Same(flows[4999]) {
		t.Errorf("got %+v and %v, want the one that is ours", heard, err)
	}
}

func TestOverrunIsToldAfterWhatWasQueued(t *testing.T) {
	h, table := tuned(t)
	var l *conntrack.Listener
	err := h.Do(func() (err error) {
		l, err = conntrack.Listen(conntrack.ListenConfig{Buffer: 64 << 10})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	const n = 5000
	failed, err := table.Inject(t.Context(), many(families()[0], n)) // nobody reads yet
	none(t, failed, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before, overruns, after := 0, 0, 0
	marker := families()[0].flow(9)
	err = l.Run(ctx, func(e conntrack.Event) {
		switch {
		case e.Kind == conntrack.Overrun:
			overruns++
			failed, err := table.Inject(t.Context(), []conntrack.Flow{marker}) // it hears again
			if err != nil || len(failed) > 0 {
				t.Errorf("got %v and %v, want none", failed, err)
			}
		case e.Flow.Same(marker):
			after++
			cancel()
		case overruns == 0:
			before++
		default:
			t.Errorf("%s of %s came after the overrun", e.Kind, e.Flow.Orig)
		}
	})
	if err != nil || overruns != 1 || after != 1 || before == 0 || before >= n {
		t.Errorf("got %d events, %d overruns, %d events, %v; want some, 1, 1, nil", before, overruns, after, err)
	}
}

// TestBurst has thousands of flows made and deleted while the listener can keep up only by
// its buffer.
func TestBurst(t *testing.T) {
	h, table := tuned(t)
	l, events := listen(t, h, conntrack.ListenConfig{})
	n := 20000
	if l.Buffer() < 32<<20 {
		t.Logf("the buffer is %d bytes, net.core.rmem_max allows no more: fewer flows", l.Buffer())
		n = min(n, l.Buffer()/2048)
	}
	flows := many(families()[0], n)
	failed, err := table.Inject(t.Context(), flows)
	none(t, failed, err)
	failed, err = table.Delete(t.Context(), flows...)
	none(t, failed, err)
	made, gone := 0, 0
	for gone < n {
		e := await(t, events, "all of them", func(conntrack.Event) bool { return true })
		switch e.Kind {
		case conntrack.New:
			made++
		case conntrack.Destroy:
			gone++
		case conntrack.Overrun:
			t.Fatalf("overrun after %d and %d of %d, with a buffer of %d bytes", made, gone, n, l.Buffer())
		}
	}
	if made != n {
		t.Errorf("got %d new flows, want %d", made, n)
	}
}

// TestFlowsAtARate has packets make 4000 flows a second for two seconds.
func TestFlowsAtARate(t *testing.T) {
	const (
		rate   = 4000
		n      = 2 * rate
		bundle = rate / 100
	)
	w := newWorld(t, families()[0])
	l, events := listen(t, w.a, conntrack.ListenConfig{Filter: conntrack.Filter{Mark: ours, Mask: 0xff}})
	// The VM refuses, and the kernel forgets at once what was refused: each flow has its
	// whole life.
	_ = w.listener.Close()
	sent := make(chan error, 1)
	go func() {
		sent <- w.client.Do(func() error {
			return conntrack.Knock(netip.AddrPortFrom(w.ends.client, 10000), netip.AddrPortFrom(w.ends.virtual, 5901), n, bundle, 10*time.Millisecond)
		})
	}()
	seen := map[netip.AddrPort]bool{}
	gone := 0
	for len(seen) < n || gone < n {
		e := await(t, events, "all flows", func(conntrack.Event) bool { return true })
		switch {
		case e.Kind == conntrack.Overrun && l.Buffer() < 32<<20:
			t.Skipf("overrun: net.core.rmem_max allows a buffer of %d bytes only", l.Buffer())
		case e.Kind == conntrack.Overrun:
			t.Fatalf("overrun after %d flows", len(seen))
		case e.Kind == conntrack.New:
			seen[e.Flow.Client()] = true
		case e.Kind == conntrack.Destroy:
			gone++
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
