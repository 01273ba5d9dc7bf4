package balancer

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// long ago a node came up.
var longAgo = time.Unix(1000, 0)

// nodes of a table: name, what is wrong with it, and load.
func on(name string, load int, wrong ...string) candidate {
	c := candidate{node: addr("10.0.0." + name), alive: true, well: true, load: load, since: longAgo}
	for _, w := range wrong {
		switch w {
		case "drains":
			c.drain = true
		case "suspect":
			c.suspect = true
		case "ill":
			c.well = false
		case "dead":
			c.well, c.alive = false, false
		}
	}
	return c
}

func at(c candidate, since time.Time) candidate {
	c.since = since
	return c
}

func TestPlace(t *testing.T) {
	now := longAgo.Add(time.Hour)
	held := func(a, b, c int) map[netip.Addr]int {
		return map[netip.Addr]int{addr("10.0.0.1"): a, addr("10.0.0.2"): b, addr("10.0.0.3"): c}
	}
	for _, tt := range []struct {
		name   string
		algo   Algorithm
		turn   int
		all    []candidate
		sticky string
		held   map[netip.Addr]int
		want   string // last digits, in order
		stick  bool
	}{
		{"nobody", LeastConn, 0, nil, "", nil, "", false},
		{"all dead", LeastConn, 0, []candidate{on("1", 0, "dead"), on("2", 0, "dead")}, "", nil, "", false},
		{"least first", LeastConn, 0, []candidate{on("1", 3), on("2", 1), on("3", 2)}, "", nil, "231", true},
		{"equal ones take turns", LeastConn, 4, []candidate{on("1", 1), on("2", 1), on("3", 1)}, "", nil, "231", true},
		{"one after the other", RoundRobin, 2, []candidate{on("1", 9), on("2", 0), on("3", 0)}, "", nil, "312", true},
		{"round robin leaves out", RoundRobin, 1, []candidate{on("1", 0), on("2", 0, "ill"), on("3", 0)}, "", nil, "31", true},
		{"a dead one is out", LeastConn, 0, []candidate{on("1", 0, "dead"), on("2", 9)}, "", nil, "2", true},
		{"a draining one is out", LeastConn, 0, []candidate{on("1", 0, "drains"), on("2", 9)}, "", nil, "2", true},
		{"a suspect is last", LeastConn, 0, []candidate{on("1", 0, "suspect"), on("2", 9)}, "", nil, "21", true},
		{"only suspects", LeastConn, 0, []candidate{on("1", 5, "suspect"), on("2", 4, "suspect")}, "", nil, "21", true},
		{"all drain: still tried", LeastConn, 0, []candidate{on("1", 5, "drains"), on("2", 4, "drains"), on("3", 0, "ill")}, "", nil, "21", false},
		{"none is well: the living", LeastConn, 0, []candidate{on("1", 0, "dead"), on("2", 4, "ill")}, "", nil, "2", false},
		{"four at most", RoundRobin, 0, []candidate{on("1", 0), on("2", 0), on("3", 0), on("4", 0), on("5", 0)}, "", nil, "1234", true},

		{"sticky before load", LeastConn, 0, []candidate{on("1", 0), on("2", 9), on("3", 1)}, "2", nil, "213", true},
		{"sticky among five", RoundRobin, 0, []candidate{on("1", 0), on("2", 0), on("3", 0), on("4", 0), on("5", 0)}, "5", nil, "5123", true},
		{"sticky, but dead", LeastConn, 0, []candidate{on("1", 7), on("2", 0, "dead")}, "2", nil, "1", true},
		{"sticky, but it drains", LeastConn, 0, []candidate{on("1", 7), on("2", 0, "drains")}, "2", nil, "1", true},
		{"sticky, but suspected", LeastConn, 0, []candidate{on("1", 7), on("2", 0, "suspect")}, "2", nil, "12", true},
		{"sticky, and all drain", LeastConn, 0, []candidate{on("1", 0, "drains"), on("2", 9, "drains")}, "2", nil, "21", false},
		{"sticky to a stranger", LeastConn, 0, []candidate{on("1", 0), on("2", 9)}, "9", nil, "12", true},

		{"an office spills over", LeastConn, 0, []candidate{on("1", 8), on("2", 0), on("3", 1)}, "1", held(8, 0, 0), "231", false},
		{"an office under round robin", RoundRobin, 0, []candidate{on("1", 8), on("2", 0), on("3", 1)}, "1", held(8, 0, 0), "231", false},
		{"seven are no office", LeastConn, 0, []candidate{on("1", 7), on("2", 0), on("3", 0)}, "1", held(7, 0, 0), "123", true},
		{"an office with its share", LeastConn, 0, []candidate{on("1", 40), on("2", 30), on("3", 35)}, "1", held(40, 38, 39), "123", true},
		{"an office without a choice", LeastConn, 0, []candidate{on("1", 40), on("2", 0, "drains")}, "1", held(40, 0, 0), "1", true},

		{"who came up is spared", LeastConn, 0, []candidate{on("1", 50), at(on("2", 5), now.Add(-time.Second))}, "", nil, "12", true},
		{"half its time is over", LeastConn, 0, []candidate{on("1", 50), at(on("2", 24), now.Add(-5*time.Second))}, "", nil, "21", true},
		{"and spared no longer", LeastConn, 0, []candidate{on("1", 50), at(on("2", 49), now.Add(-ramp))}, "", nil, "21", true},
		{"the clock went back", LeastConn, 0, []candidate{on("1", 50), at(on("2", 0), now.Add(time.Hour))}, "", nil, "21", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := situation{algorithm: tt.algo, turn: tt.turn, candidates: tt.all, held: tt.held}
			if tt.sticky != "" {
				s.sticky = addr("10.0.0." + tt.sticky)
			}
			p := place(s, addr("192.0.2.7"), now)
			got := ""
			for _, a := range p.order {
				b := a.As4()
				got += string('0' + rune(b[3]))
			}
			if got != tt.want || p.stick != tt.stick {
				t.Errorf("got %q stick %v, want %q stick %v", got, p.stick, tt.want, tt.stick)
			}
		})
	}
}

// A placement must not reorder what it was given: it is shared.
func TestPlaceLeavesCandidates(t *testing.T) {
	all := []candidate{on("1", 3), on("2", 1), on("3", 2)}
	was := append([]candidate(nil), all...)
	place(situation{algorithm: LeastConn, candidates: all, sticky: addr("10.0.0.1")}, addr("192.0.2.7"), longAgo)
	if diff := cmp.Diff(was, all, cmp.AllowUnexported(candidate{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// When a node goes, only its own clients move; every node has about its share.
func TestRendezvous(t *testing.T) {
	four := []candidate{on("1", 0), on("2", 0), on("3", 0), on("4", 0)}
	first := func(all []candidate, client netip.Addr) netip.Addr {
		return place(situation{algorithm: Rendezvous, candidates: all}, client, longAgo).order[0]
	}
	count := map[netip.Addr]int{}
	client := addr("192.0.2.0")
	const clients = 4000
	for range clients {
		client = client.Next()
		was, is := first(four, client), first(four[:3], client)
		count[was]++
		if was != four[3].node && was != is {
			t.Fatalf("client %s went from %s to %s, which had not gone", client, was, is)
		}
	}
	for node, n := range count {
		if n < clients/4*8/10 || n > clients/4*12/10 {
			t.Errorf("node %s got %d of %d clients, want about a quarter", node, n, clients)
		}
	}
}
