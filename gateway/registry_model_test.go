package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The maps of a registry agree with each other whatever is done to it.
func TestRegistryStaysConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reg, now := newRegistry(), noon
		var in []*grant
		pick := func() *grant {
			if len(in) == 0 {
				return nil
			}
			return in[rapid.IntRange(0, len(in)-1).Draw(t, "which")]
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "seconds")) * time.Second)
			g := pick()
			switch what := rapid.SampledFrom([]string{"add", "add", "add", "remove", "move", "retoken", "sweep"}).Draw(t, "what"); {
			case what == "add":
				g := drawGrant(t, i, now)
				if reg.add(g, 5900, 5903, now) == nil {
					in = append(in, g)
				}
			case what == "sweep":
				for _, late := range reg.overdue(now) {
					reg.expire(late, now)
				}
			case g == nil:
			case what == "remove":
				reg.remove(g)
			case what == "move" && g.mode == ModePort && !g.ended:
				if reg.move(g, 5900, 5903, now) != nil {
					reg.remove(g)
				}
			case what == "retoken" && !g.ended:
				reg.retoken(g)
			}
			in = slices.DeleteFunc(in, func(g *grant) bool { return g.ended })
			checkRegistry(t, reg, in)
		}
	})
}

func drawGrant(t *rapid.T, i int, now time.Time) *grant {
	_, hash := newSecret()
	g := &grant{
		id: ConnectionID(fmt.Sprint(i)), client: rapid.SampledFrom([]netip.Addr{ada, bob}).Draw(t, "client"),
		mode: rapid.SampledFrom([]Mode{ModePort, ModeWebSocket}).Draw(t, "mode"), token: hash, ttl: 30 * time.Second,
	}
	g.key = reopenKey{client: g.client, user: rapid.SampledFrom([]string{"", "u"}).Draw(t, "user")}
	g.extend(now)
	return g
}

func checkRegistry(t *rapid.T, reg *registry, in []*grant) {
	clients, inUse, slots := map[netip.Addr]int{}, map[uint16]int{}, 0
	for _, g := range in {
		clients[g.client]++
		if reg.grants[g.id] != g || reg.tokens[g.token] != g {
			t.Fatalf("grant %s is not found by its id and token", g.id)
		}
		if g.mode == ModePort {
			slots++
			inUse[g.port]++
			if reg.slots[slot{g.client, g.port}] != g {
				t.Fatalf("grant %s is not found by its port %d", g.id, g.port)
			}
		}
	}
	if len(reg.grants) != len(in) || len(reg.tokens) != len(in) || len(reg.slots) != slots {
		t.Fatalf("got %d grants, %d tokens, %d ports, want %d, %d, %d",
			len(reg.grants), len(reg.tokens), len(reg.slots), len(in), len(in), slots)
	}
	if fmt.Sprint(clients) != fmt.Sprint(reg.clients) || fmt.Sprint(inUse) != fmt.Sprint(reg.inUse) {
		t.Fatalf("got counts %v and %v, want %v and %v", reg.clients, reg.inUse, clients, inUse)
	}
	for key, g := range reg.byKey {
		if g.key != key || key.user == "" || reg.grants[g.id] != g {
			t.Fatalf("a key finds grant %s, which is not its own or not there", g.id)
		}
	}
}
