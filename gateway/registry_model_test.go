package gateway

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The maps of a registry agree with each other whatever is done to it: to its own
// grants, and to what it is told of others.
func TestRegistryStaysConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &registryModel{T: t, reg: newRegistry(), now: noon, among: choice{first: 5900, last: 5903}}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.now = m.now.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "seconds")) * time.Second)
			m.step(i)
			m.in = slices.DeleteFunc(m.in, func(g *grant) bool { return g.ended || m.reg.grants[g.id] != g && m.reg.others[g.id] != g })
			m.check()
		}
	})
}

type registryModel struct {
	*rapid.T
	reg   *registry
	now   time.Time
	among choice
	in    []*grant // own and of others
}

// step does something to the registry, as far as the gateway would.
func (m *registryModel) step(i int) {
	var g *grant
	if len(m.in) > 0 {
		g = m.in[rapid.IntRange(0, len(m.in)-1).Draw(m.T, "which")]
	}
	what := rapid.SampledFrom([]string{"add", "add", "learn", "learn", "remove", "move", "retoken", "again", "adopt", "disown", "sweep", "resume", "back", "rehome"}).Draw(m.T, "what")
	switch {
	case what == "add":
		fresh := drawGrant(m.T, i, m.now)
		if m.reg.add(fresh, m.among, m.now) == nil {
			m.in = append(m.in, fresh)
		}
	case what == "learn":
		m.learn(ConnectionID(fmt.Sprint(i)), i)
	case what == "sweep":
		for _, late := range m.reg.overdue(m.now) {
			m.reg.expire(late, m.now)
		}
		for _, late := range m.reg.lapsedOthers(m.now) {
			m.reg.unlearn(late)
		}
	case g == nil:
	case g.remote:
		m.toOther(what, g, i)
	default:
		m.toOwn(what, g)
	}
}

func (m *registryModel) toOther(what string, g *grant, i int) {
	switch what {
	case "remove":
		m.reg.unlearn(g)
	case "adopt":
		m.reg.adopt(g, g.node)
	case "again":
		m.learn(g.id, i)
	}
}

func (m *registryModel) toOwn(what string, g *grant) {
	page := g.mode == ModeWebSocket
	_, fresh := newSecret()
	switch {
	case what == "remove":
		m.reg.remove(g)
	case what == "again": // as Gateway.reopen
		m.reg.unseat(g)
		g.protocol, g.desktop = drawDesktop(m.T)
		m.reg.seat(g)
		m.reg.awaits(g, [32]byte{}, [32]byte{})
	case what == "resume" && page:
		m.reg.awaits(g, fresh, g.resumes[rapid.IntRange(0, 1).Draw(m.T, "former")])
	case what == "back" && page:
		m.reg.awaits(g, g.resumes[0], [32]byte{})
	case what == "rehome" && page:
		m.reg.rehome(g, rapid.SampledFrom([]netip.Addr{ada, bob}).Draw(m.T, "home"))
	case what == "disown":
		m.reg.disown(g)
	case what == "retoken":
		m.reg.retoken(g)
	case what == "move" && g.mode == ModePort:
		if m.reg.move(g, m.among, m.now) != nil {
			m.reg.remove(g)
		}
	}
}

// learn has another node tell of a grant; the older of two keeps the port.
func (m *registryModel) learn(id ConnectionID, i int) {
	g := drawGrant(m.T, i, m.now)
	g.id, g.node = id, bob
	g.openedAt = noon.Add(time.Duration(rapid.IntRange(0, 300).Draw(m.T, "opened")) * time.Second)
	if g.mode == ModePort {
		g.port = rapid.Uint16Range(5900, 5903).Draw(m.T, "port")
	}
	rival := m.reg.slots[slot{g.client, g.port}]
	denied, _ := m.reg.learn(g, m.now)
	older := rival != nil && rival.id != id && !rival.expired(m.now) && rival.older(g)
	if denied != (g.mode == ModePort && older) || m.reg.sits(g) == denied && g.mode == ModePort {
		m.Fatalf("a grant of %s, with a rival %+v: denied %t, seated %t", g.openedAt, rival, denied, m.reg.sits(g))
	}
	m.in = append(m.in, g)
}

func drawGrant(t *rapid.T, i int, now time.Time) *grant {
	_, hash := newSecret()
	g := &grant{
		id: ConnectionID(fmt.Sprint(i)), client: rapid.SampledFrom([]netip.Addr{ada, bob}).Draw(t, "client"),
		mode: rapid.SampledFrom([]Mode{ModePort, ModeWebSocket}).Draw(t, "mode"), token: hash, ttl: 30 * time.Second,
	}
	g.target.addrs = rapid.SliceOfN(rapid.SampledFrom([]netip.AddrPort{
		netip.AddrPortFrom(ada, 1), netip.AddrPortFrom(ada, 2), netip.AddrPortFrom(bob, 1),
	}), 1, 3).Draw(t, "addresses")
	g.protocol, g.desktop = drawDesktop(t)
	if g.mode == ModeWebSocket && rapid.Bool().Draw(t, "returns") {
		_, g.resumes[0] = newSecret()
	}
	g.key = reopenKey{client: g.client, user: rapid.SampledFrom([]string{"", "u"}).Draw(t, "user")}
	g.extend(now)
	return g
}

func drawDesktop(t *rapid.T) (Protocol, Desktop) {
	return rapid.SampledFrom([]Protocol{"vnc", "rdp"}).Draw(t, "protocol"), Desktop{ViewOnly: rapid.Bool().Draw(t, "view only")}
}

func (m *registryModel) check() {
	clients, own := map[netip.Addr]map[netip.Addr]int{}, 0
	for _, g := range m.in {
		if clients[g.client] == nil {
			clients[g.client] = map[netip.Addr]int{}
		}
		clients[g.client][g.node]++
		if !g.remote {
			own++
		}
		if m.reg.tokens[g.token] != g || (m.reg.grants[g.id] == g) == g.remote || (m.reg.others[g.id] == g) != g.remote {
			m.Fatalf("grant %s (remote: %t) is not found by its id and token", g.id, g.remote)
		}
	}
	if len(m.reg.grants) != own || len(m.reg.others) != len(m.in)-own || len(m.reg.tokens) != len(m.in) {
		m.Fatalf("got %d grants, %d of others, %d tokens, want %d, %d, %d",
			len(m.reg.grants), len(m.reg.others), len(m.reg.tokens), own, len(m.in)-own, len(m.in))
	}
	if diff := cmp.Diff(clients, m.reg.clients, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		m.Fatalf("clients (-want +got):\n%s", diff)
	}
	m.checkPlaces()
	m.checkPages()
}

// checkPages checks ways back and desktops: of all who are there, and of nobody else.
func (m *registryModel) checkPages() {
	ways, desks := map[[32]byte]*grant{}, map[desk]map[*grant]struct{}{}
	for _, g := range m.in {
		for _, h := range g.resumes {
			if h != [32]byte{} {
				ways[h] = g
			}
		}
		for _, d := range g.target.addrs {
			if g.viewing() && desks[d] == nil {
				desks[d] = map[*grant]struct{}{}
			}
			if g.viewing() {
				desks[d][g] = struct{}{}
			}
		}
	}
	if !maps.Equal(ways, m.reg.resumes) {
		m.Fatalf("got %d ways back, want %d", len(m.reg.resumes), len(ways))
	}
	if !maps.EqualFunc(desks, m.reg.desks, maps.Equal) {
		m.Fatalf("desktops: got %v, want %v", m.reg.desks, desks)
	}
}

// checkPlaces checks slots and keys: each is somebody's who is there.
func (m *registryModel) checkPlaces() {
	inUse := map[uint16]int{}
	for s, g := range m.reg.slots {
		inUse[s.port]++
		if !slices.Contains(m.in, g) || s != (slot{g.client, g.port}) {
			m.Fatalf("slot %v is held by grant %s, which is not its own or not there", s, g.id)
		}
	}
	if fmt.Sprint(inUse) != fmt.Sprint(m.reg.inUse) {
		m.Fatalf("got ports in use %v, want %v", m.reg.inUse, inUse)
	}
	for key, g := range m.reg.byKey {
		if g.key != key || key.user == "" || !slices.Contains(m.in, g) {
			m.Fatalf("a key finds grant %s, which is not its own or not there", g.id)
		}
	}
}
