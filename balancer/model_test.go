package balancer

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model plays clients, nodes and time against a balancer that does not run.
type model struct {
	b       *Balancer
	listen  netip.AddrPort
	now     time.Time
	members []Member
	granted map[netip.Addr]int                // live grants by node
	held    map[netip.Addr]map[netip.Addr]int // and of each client
	sticky  *memory
	flows   []flow
	suspect map[netip.Addr]bool
	clients uint16
}

// flow is a connection that was routed.
type flow struct {
	*Route
	at     netip.Addr
	client netip.Addr
}

func newModel(t *rapid.T) *model {
	m := &model{
		now:     time.Now().Add(time.Hour), // later than what the routes take for now
		granted: map[netip.Addr]int{}, held: map[netip.Addr]map[netip.Addr]int{},
		sticky: &memory{at: map[netip.Prefix]netip.Addr{}}, suspect: map[netip.Addr]bool{},
	}
	cfg := Config{
		Enabled: true, Node: addr("10.0.0.1"), Virtual: addr("10.0.0.100"), APIPort: 8000, MaskV4: 32,
		Fronts:         []Front{{Name: "api", Port: 8002, Backend: 8000, Sticky: rapid.Bool().Draw(t, "sticky")}},
		Algorithm:      rapid.SampledFrom([]Algorithm{LeastConn, RoundRobin, Rendezvous}).Draw(t, "algorithm"),
		StickyTTL:      time.Hour,
		MaxConnections: 100,
	}
	nodes := rapid.IntRange(1, 6).Draw(t, "nodes")
	for a := cfg.Node; len(cfg.Nodes) < nodes; a = a.Next() {
		cfg.Nodes = append(cfg.Nodes, a)
		m.members = append(m.members, Member{Node: a, Alive: true, Ready: true})
	}
	m.listen = cfg.listen(cfg.Fronts[0])
	m.b = New(Deps{
		Listen:  func(netip.AddrPort, Door) (Listener, error) { return nowhere{}, nil },
		Header:  func(netip.AddrPort, netip.AddrPort) []byte { return nil },
		Members: func() []Member { return m.members },
		Held:    func(client netip.Addr) map[netip.Addr]int { return m.held[client] },
		Sticky:  m.sticky,
	})
	if err := m.b.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	for _, n := range m.b.nodes {
		m.check(n, nil)
	}
	return m
}

func (m *model) check(n *node, err error) {
	m.now = m.now.Add(time.Millisecond)
	m.b.judge(n, err, m.now, m.now)
	if err == nil {
		delete(m.suspect, n.addr)
	}
}

// best are the nodes that a client may come to first.
func (m *model) best() []netip.Addr {
	var well, draining, suspects []netip.Addr
	for _, s := range m.b.Stats().Nodes {
		switch {
		case s.State == StateDraining:
			draining = append(draining, s.Node)
		case s.State == StateUp && m.suspect[s.Node]:
			suspects = append(suspects, s.Node)
		case s.State == StateUp:
			well = append(well, s.Node)
		}
	}
	for _, some := range [][]netip.Addr{well, suspects, draining} {
		if len(some) > 0 {
			return some
		}
	}
	return nil
}

// visit has a client come and looks at where it is sent.
func (m *model) visit(t *rapid.T) {
	client := netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(t, "client") % 8})
	source, _ := client.Prefix(32)
	home, _ := m.sticky.Get(source)
	m.clients++
	r := m.b.knock(m.listen, netip.AddrPortFrom(client, m.clients), nil, m.now)
	best := m.best() // as of now: knock has heard the members
	switch {
	case len(m.flows) >= 100:
		if r != nil {
			t.Fatal("there is room for 100, and one more was let in")
		}
	case r == nil:
		if len(best) > 0 {
			t.Fatalf("nobody takes the client, though %v would", best)
		}
	default:
		to := r.To[0].Addr()
		m.judge(t, client, home, to, best)
		m.flows = append(m.flows, flow{r, to, client})
	}
}

func (m *model) judge(t *rapid.T, client, home, to netip.Addr, best []netip.Addr) {
	if len(best) > 0 && !slices.Contains(best, to) {
		t.Fatalf("%s is sent to %s, want one of %v", client, to, best)
	}
	office := 0
	for _, n := range m.held[client] {
		office += n
	}
	keeps := m.b.cfg.Fronts[0].Sticky && office < crowdMin && slices.Contains(best, home) && !m.suspect[home]
	if keeps && to != home {
		t.Fatalf("%s is sent to %s, want %s, where it was", client, to, home)
	}
}

// take is one of the flows, which is removed.
func (m *model) take(t *rapid.T) (flow, bool) {
	if len(m.flows) == 0 {
		return flow{}, false
	}
	i := rapid.IntRange(0, len(m.flows)-1).Draw(t, "flow")
	f := m.flows[i]
	m.flows = slices.Delete(m.flows, i, i+1)
	return f, true
}

// miss has all of a flow's nodes be out of reach.
func (m *model) miss(t *rapid.T) {
	f, ok := m.take(t)
	if !ok {
		return
	}
	for _, to := range f.To {
		f.Missed(to, errors.New("refused"))
		m.suspect[to.Addr()] = true
	}
	f.Ended(0, 0)
}

// grant has a flow end with a grant at its node.
func (m *model) grant(t *rapid.T) {
	if f, ok := m.take(t); ok {
		f.Joined()
		f.Ended(1, 1)
		m.granted[f.at]++
		if m.held[f.client] == nil {
			m.held[f.client] = map[netip.Addr]int{}
		}
		m.held[f.client][f.at]++
	}
}

func (m *model) member(t *rapid.T) *Member {
	return &m.members[rapid.IntRange(0, len(m.members)-1).Draw(t, "node")]
}

// counted holds at any time.
func (m *model) counted(t *rapid.T) {
	s := m.b.Stats()
	current := 0
	for _, n := range s.Fronts[0].Nodes {
		if n.Current < 0 {
			t.Fatalf("%s has %d connections", n.Node, n.Current)
		}
		current += n.Current
	}
	if current != len(m.flows) || m.b.open != len(m.flows) {
		t.Fatalf("%d connections, %d in all; want %d", current, m.b.open, len(m.flows))
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"visit": m.visit,
			"burst": func(t *rapid.T) {
				for range 10 {
					m.visit(t)
				}
			},
			"miss":  m.miss,
			"grant": m.grant,
			"check": func(t *rapid.T) {
				err := []error{nil, errors.New("no")}[rapid.IntRange(0, 1).Draw(t, "result")]
				m.check(m.b.nodes[rapid.IntRange(0, len(m.b.nodes)-1).Draw(t, "node")], err)
			},
			"report": func(*rapid.T) {
				for i := range m.members {
					m.members[i].Connections = m.granted[m.members[i].Node]
				}
			},
			"drain": func(t *rapid.T) { n := m.member(t); n.Draining = !n.Draining },
			"ready": func(t *rapid.T) { n := m.member(t); n.Ready = !n.Ready },
			"alive": func(t *rapid.T) { n := m.member(t); n.Alive = !n.Alive },
			"time": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			},
			"": m.counted,
		})
	})
}

// A burst of new clients is spread evenly, although their connections are short
// and the grants they made are reported late.
func TestBurstIsSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		m.b.cfg.Algorithm = LeastConn
		m.now = m.now.Add(ramp)
		placed, nodes := map[netip.Addr]int{}, len(m.members)
		total := rapid.IntRange(1, 99).Draw(t, "clients")
		for i := range total {
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1)
			r := m.b.knock(m.listen, client, nil, m.now)
			placed[r.To[0].Addr()]++
			r.Joined()
			r.Ended(1, 1)
			if rapid.Bool().Draw(t, "report") {
				n := m.member(t)
				n.Connections = placed[n.Node]
			}
		}
		for _, n := range m.members {
			if got := placed[n.Node]; got < total/nodes || got > (total+nodes-1)/nodes {
				t.Errorf("%s got %d of %d clients for %d nodes", n.Node, got, total, nodes)
			}
		}
	})
}
