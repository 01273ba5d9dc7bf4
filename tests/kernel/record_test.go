package kernel

import (
	"slices"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// forwardings has a test run with both ways of forwarding: what is said of sessions is the
// same.
func forwardings(t *testing.T, run func(t *testing.T, forwarding string)) {
	t.Helper()
	for _, f := range slices.Compact([]string{"proxy", forwarding()}) {
		t.Run(f, func(t *testing.T) {
			parallel(t)
			run(t, f)
		})
	}
}

// spare is what the kernel may count too much: it sees headers, and what is sent again.
func spare(forwarding string, bytes int64) int64 {
	if forwarding == "proxy" {
		return 0
	}
	return 200 + bytes/20
}

func TestSessionsAreListedAndAudited(t *testing.T) {
	parallel(t)
	forwardings(t, func(t *testing.T, forwarding string) {
		r := newRig(t, shape{nodes: 2, forwarding: forwarding})
		unused := r.plan()
		var err error
		unused.tunnel, err = r.front(unused.from).Open(soon(t), r.request(unused.host))
		r.try(err)
		c := r.crowd(3 * int(manners))
		c.goOn("begun")
		d := r.nodes[1].api
		if l := connections(t, d)[unused.tunnel.ID]; l.State != "granted" || l.Channels != 0 || l.Connected != nil || l.Client != unused.from.String() {
			t.Errorf("a tunnel that nobody uses: got %+v", l)
		}
		for _, s := range c.all {
			r.listedWell(s, forwarding)
		}
		c.finish()
		for _, s := range c.all {
			r.auditedWell(s, forwarding)
		}
		eventually(t, "nothing is active", func() bool {
			for _, l := range connections(t, d) {
				if l.State == "active" || l.Channels > 0 {
					return false
				}
			}
			return true
		})
	})
}

// listedWell wants get_connections to say what is true of a session that goes on.
func (r *rig) listedWell(s *session, forwarding string) {
	r.t.Helper()
	d := r.nodes[1].api
	greeting := int64(len(hello(s.number)))
	up, _ := s.client.count()
	down, _ := s.vm.count()
	var l listed
	eventually(r.t, "the bytes so far are listed", func() bool {
		l = connections(r.t, d)[s.tunnel.ID]
		return l.Up >= up+greeting && l.Down >= down || r.moved(s.began)
	})
	if r.moved(s.began) {
		r.t.Logf("%s: another node carries it, which has not counted what was before", s)
		return
	}
	mostUp, _ := s.client.count()
	mostDown, _ := s.vm.count()
	mostUp += greeting
	if l.Up > mostUp+spare(forwarding, mostUp) || l.Down > mostDown+spare(forwarding, mostDown) {
		r.t.Errorf("%s: got %d and %d bytes listed, want %d and %d at most", s, l.Up, l.Down, mostUp, mostDown)
	}
	want := listed{
		ID: s.tunnel.ID, Node: l.Node, State: "active", VMAddress: s.host.addr.Addr().String(), VMPort: vmPort, Client: s.from.String(),
		Port: s.tunnel.Port, Mode: "port", Channels: 1, Up: l.Up, Down: l.Down, Connected: l.Connected, Activity: l.Activity,
	}
	if l != want || l.Connected == nil || l.Activity == nil || forwarding == "kernel" && l.Node != r.nodes[0].host.Addr().String() {
		r.t.Errorf("%s: got %+v listed", s, l)
	}
}

// auditedWell wants the audit to say what is true of a session that is over.
func (r *rig) auditedWell(s *session, forwarding string) {
	r.t.Helper()
	line := r.closed(s, "client_closed")
	if r.moved(s.began) {
		return
	}
	up, _ := s.client.count()
	down, _ := s.vm.count()
	up += int64(len(hello(s.number)))
	if line.up < up || line.up > up+spare(forwarding, up) || line.down < down || line.down > down+spare(forwarding, down) {
		r.t.Errorf("%s: got %d and %d bytes in the audit, want %d and %d", s, line.up, line.down, up, down)
	}
	opens, closes := r.audited(s)
	if len(opens) != 1 || len(closes) != 1 {
		r.t.Errorf("%s: got %d beginnings and %d ends in the audit, want one of each", s, len(opens), len(closes))
		return
	}
	for _, l := range []row{opens[0], closes[0]} {
		if l.client != s.from.String() || l.port != int(s.tunnel.Port) || l.vm != s.host.addr.Addr().String() || l.vmPort != vmPort || l.mode != "port" {
			r.t.Errorf("%s: got %+v in the audit", s, l)
		}
	}
	if closes[0].duration <= 0 || closes[0].duration > time.Minute {
		r.t.Errorf("%s: got %s as its duration", s, closes[0].duration)
	}
}

// Timers end sessions of either way of forwarding, and only those whose time is up.
func TestTimersEndSessions(t *testing.T) {
	parallel(t)
	forwardings(t, func(t *testing.T, forwarding string) {
		r := newRig(t, shape{nodes: 2, forwarding: forwarding, over: node.Settings{"timeouts": map[string]any{"idle_s": 3}}})
		short := r.plan()
		short.manner = bothTalk
		ticket, err := node.DispatcherAt(r.api(), r.clients).Ticket(soon(t), map[string]any{
			"vm_address": short.host.addr.Addr().String(), "vm_port": vmPort, "session_max_s": 6,
		})
		r.try(err)
		short.tunnel, err = r.front(short.from).Open(soon(t), node.OpenRequest{Ticket: ticket})
		r.try(err)
		r.try(r.enter(short))
		began := time.Now()
		c := r.crowd(2 * int(manners))
		for _, s := range c.all {
			if s.manner == nobodyTalks {
				if err := s.wantEnd(forwarding, patience); err != nil {
					t.Error(err)
				}
				t.Logf("idle for 3 s: ended after %s", time.Since(began).Round(time.Millisecond))
				r.closed(s, "idle")
			}
		}
		if err := short.wantEnd(forwarding, patience); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 5*time.Second {
			t.Errorf("a session of at most 6 s: got its end after %s", took)
		}
		r.closed(short, "max_time")
		c.goOn("who talks")
		c.finish()
	})
}

// A changed access list holds for new connections at once; what runs goes on.
func TestAccessListChanges(t *testing.T) {
	parallel(t)
	forwardings(t, func(t *testing.T, forwarding string) {
		r := newRig(t, shape{nodes: 2, forwarding: forwarding})
		c := r.crowd(int(manners) * people)
		c.goOn("begun")
		denied := c.all[0].from
		change := func(list map[string]any) {
			t.Helper()
			if _, err := r.nodes[1].api.Change(soon(t), node.Settings{"access": list}); err != nil {
				t.Fatal(err)
			}
		}
		enters := func(s *session) bool {
			conn, err := r.clients.Dial(s.from, s.tunnel.Addr(), time.Second)
			if err != nil {
				return false
			}
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			_, err = conn.Read(make([]byte, 1))
			return isTimeout(err) // it stays open: the VM waits for a word
		}
		var his, others *session
		for range int(manners) * people {
			s := r.plan()
			var err error
			s.tunnel, err = r.front(s.from).Open(soon(t), r.request(s.host))
			r.try(err)
			if s.from == denied {
				his = s
			} else {
				others = s
			}
			if his != nil && others != nil {
				break
			}
		}
		change(map[string]any{"deny_from": denied.String()})
		if enters(his) {
			t.Errorf("%s is denied and got in", denied)
		}
		if !enters(others) {
			t.Errorf("%s is not denied and did not get in", others.from)
		}
		c.goOn("while some are denied")
		change(map[string]any{})
		if !enters(his) {
			t.Errorf("%s is no longer denied and did not get in", denied)
		}
		c.goOn("denied no longer")
		c.finish()
	})
}
