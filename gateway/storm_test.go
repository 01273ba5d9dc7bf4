package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Everything at once, by a few clients and a restless administrator: in the
// end nothing is left, and every session has begun and ended once.
func TestStorm(t *testing.T) {
	vm, other := newEcho(t), newEcho(t)
	r := newRig(t, func(c *Config) { c.PortStop = c.PortStart + 9 })
	end := time.Now().Add(1500 * time.Millisecond)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			w := &wanderer{r: r, rnd: rand.New(rand.NewPCG(1, uint64(i))), name: fmt.Sprintf("127.0.7.%d", 1+i%3)}
			for time.Now().Before(end) {
				w.step(vm, other)
			}
		})
	}
	all.Go(func() { restless(r, end) })
	all.Wait()
	_, _, _ = r.Disconnect(t.Context(), Selector{All: true}, "")
	eventually(t, "nothing left", func() bool { return r.empty() && r.engine.Len() == 0 })
	eventually(t, "as many closes as opens", func() bool {
		return r.audit.count(EventOpen) == r.audit.count(EventClose)
	})
	if r.audit.count(EventOpen) == 0 {
		t.Error("got no session at all: the storm was none")
	}
	sessionsAlternate(t, r.audit)
}

// sessionsAlternate checks that no connection has more closes than opens at
// any time.
func sessionsAlternate(t *testing.T, j *journal) {
	open := map[ConnectionID]int{}
	for _, e := range j.events {
		switch e.Kind {
		case EventOpen:
			open[e.ID]++
		case EventClose:
			open[e.ID]--
		}
		if open[e.ID] < 0 {
			t.Fatalf("%s ended before it began", e.ID)
		}
	}
}

// wanderer is a client that does this and that.
type wanderer struct {
	r    *rig
	rnd  *rand.Rand
	name string
}

func (w *wanderer) step(vms ...*machine) {
	r, t := w.r, w.r.t
	vm := vms[w.rnd.IntN(len(vms))]
	mode := ModePort
	if w.rnd.IntN(3) == 0 {
		mode = ModeWebSocket
	}
	g, err := r.ask(w.name, vm.addr, as([]string{"", "ada", "bob"}[w.rnd.IntN(3)]), channels(1+w.rnd.IntN(2)),
		func(q *OpenRequest) { q.Mode, q.Probe = mode, w.rnd.IntN(2) == 0 })
	if err != nil {
		return // refused by what the others do
	}
	if mode == ModePort {
		if c, err := dialFrom(w.name, netip.AddrPortFrom(r.addr, g.Port), 200*time.Millisecond); err == nil {
			defer c.Close()
			_ = said(c, "hello")
		}
	} else if a, err := r.Attach(t.Context(), g.Token, g.Client); err == nil {
		if w.rnd.IntN(2) == 0 {
			a.Abort()
		} else {
			v := r.serve(a)
			_ = said(v, "hello")
			v.Close()
		}
	}
	switch w.rnd.IntN(4) {
	case 0:
		_ = r.GiveBack(t.Context(), g.ID, g.Token, g.Client)
	case 1:
		_, _, _ = r.Disconnect(t.Context(), Selector{Client: g.Client}, "")
	case 2:
		_, _ = r.Renew(t.Context(), g.ID, g.Token, g.Client)
	}
}

// restless changes settings all the time.
func restless(r *rig, end time.Time) {
	for i := 0; time.Now().Before(end); i++ {
		cfg := r.cfg
		switch i % 4 {
		case 0:
			cfg.Listen = []netip.Addr{r.addr, r.addr.Next()}
		case 1:
			cfg.PortStart, cfg.PortStop = cfg.PortStart+5, cfg.PortStop+5
		case 2:
			cfg.Enabled = i%8 != 2
		}
		if err := r.Apply(cfg); err != nil {
			r.t.Errorf("apply: %v", err)
		}
		_, _ = r.Connections(Filter{})
		_ = r.Health()
		time.Sleep(5 * time.Millisecond) // the pace of an administrator
	}
}
