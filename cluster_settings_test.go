package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestAChangeReachesAllNodes(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 3, nil)
	got := g.nodes[2].change(t, "", keys{"disp_port": 4444})
	for _, n := range g.nodes {
		if got.Nodes[n.addr.String()] != "ok" {
			t.Errorf("got nodes %v, want %s ok", got.Nodes, n.addr)
		}
		document, revision := n.settings(t)
		if revision != 2 || document["disp_port"] != 4444.0 {
			t.Errorf("%s: got revision %d with disp_port %v", n.addr, revision, document["disp_port"])
		}
	}
	// What the nodes speak by may change, too: port and key.
	g.nodes[0].change(t, "", keys{"api_port": testMoved, "cluster_key": "another-cluster-key-0123456789"})
	for i, n := range g.nodes {
		n.call(t, 200, call{path: "/v3/change_settings/", body: keys{"disp_port": 4500 + i}, port: testMoved})
	}
	for _, n := range g.nodes {
		if r := n.call(t, 200, call{path: "/v3/get_settings/", port: testMoved}); r.header.Get("ETag") != `"6"` {
			t.Errorf("%s: got revision %s, want 6", n.addr, r.header.Get("ETag"))
		}
	}
}

func TestANodeThatRefusesKeepsAllFromChanging(t *testing.T) {
	t.Parallel()
	g, vm := startGroup(t, 3, nil), startVM(t)
	_, s := g.nodes[0].connect(t, vm, nil)
	taken, err := net.Listen("tcp", netip.AddrPortFrom(g.nodes[1].addr, testMoved).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := g.nodes[2].call(t, 424, call{path: "/v3/change_settings/", body: keys{"api_port": testMoved, "targets": keys{"allow": []keys{}}}})
	code, message := r.refusal(t)
	if code != "NODE_REJECTED" || !strings.Contains(message, g.nodes[1].addr.String()) || !strings.Contains(message, fmt.Sprint(testMoved)) {
		t.Errorf("got %s %q, want the node %s and the port %d", code, message, g.nodes[1].addr, testMoved)
	}
	if got := g.revisions(t); !slices.Equal(got, []int64{1, 1, 1}) {
		t.Errorf("got revisions %v, want 1 everywhere", got)
	}
	s.mustLive(t) // its VM is forbidden by what was refused
	g.nodes[2].change(t, "", keys{"disp_port": 4444})
}

func TestOfTwoChangesAtOnceOneIsMade(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 3, nil)
	made := int64(1)
	for round := range 10 {
		statuses := make([]int, 2)
		var group sync.WaitGroup
		for i := range statuses {
			group.Go(func() {
				r, err := g.nodes[1+i].try(call{path: "/v3/change_settings/", body: keys{"disp_port": 5000 + 10*round + i}})
				if err != nil {
					t.Error(err)
				}
				statuses[i] = r.status
			})
		}
		group.Wait()
		for _, status := range statuses {
			switch status {
			case 200:
				made++
			case 409:
			default:
				t.Errorf("round %d: got status %d, want 200 or 409", round, status)
			}
		}
		if got := g.revisions(t); !slices.Equal(got, []int64{made, made, made}) {
			t.Fatalf("round %d (%v): got revisions %v, want %d everywhere", round, statuses, got, made)
		}
	}
	if made == 1 {
		t.Error("no change was made at all")
	}
}

func TestANodeThatWasAwayCatchesUp(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 3, nil)
	g.nodes[1].kill()
	eventually(t, "the others know", func() bool { return g.alive(t, g.nodes[0]) == 2 })
	got := g.nodes[0].change(t, "", keys{"disp_port": 4444})
	if text := got.Nodes[g.nodes[1].addr.String()]; !strings.Contains(text, "catches up") {
		t.Errorf("of the node that is away: got %q", text)
	}
	g.restart(t, 1)
	eventually(t, "the node has revision 2", func() bool { return g.revisions(t)[1] == 2 })
	if text := g.nodes[1].log.String(); !strings.Contains(text, "this node was away") {
		t.Errorf("its log does not say so:\n%s", text)
	}
	// One that hung hears of a change, too.
	g.together(t)
	if err := g.nodes[2].cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others know", func() bool { return g.alive(t, g.nodes[0]) == 2 })
	g.nodes[0].change(t, "", keys{"disp_port": 4445})
	if err := g.nodes[2].cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have revision 3", func() bool { return slices.Equal(g.revisions(t), []int64{3, 3, 3}) })
}

// alive is how many nodes n believes to be alive.
func (g *group) alive(tb testing.TB, n *child) int {
	tb.Helper()
	alive := 0
	for _, m := range n.health(tb, 200).Cluster {
		if m.Alive {
			alive++
		}
	}
	return alive
}

// Two nodes that never ran at the same time have changed: the later one wins, and
// the other is told.
func TestSettingsOfTwoHalvesMeet(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 2, nil)
	g.nodes[1].kill()
	eventually(t, "the other knows", func() bool { return g.alive(t, g.nodes[0]) == 1 })
	g.nodes[0].change(t, "", keys{"disp_port": 4441})
	g.nodes[0].kill()
	g.restart(t, 1)
	g.nodes[1].change(t, "", keys{"disp_port": 4442})
	g.restart(t, 0)
	eventually(t, "both have revision 3", func() bool { return slices.Equal(g.revisions(t), []int64{3, 3}) })
	for _, n := range g.nodes {
		if document, _ := n.settings(t); document["disp_port"] != 4442.0 {
			t.Errorf("%s: got disp_port %v, want 4442", n.addr, document["disp_port"])
		}
	}
	told := slices.ContainsFunc(g.nodes[0].health(t, 200).Checks, func(c struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Detail string `json:"detail"`
	},
	) bool {
		return c.Name == "settings" && strings.Contains(c.Detail, "revision 2") && strings.Contains(c.Detail, "gave way")
	})
	if !told {
		t.Error("health does not tell which settings gave way")
	}
	g.nodes[0].kill()
	g.nodes[0].wantHistory(t, "applied", "superseded", "applied")
}

func TestAllNodesRollBackTogether(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 3, nil)
	g.nodes[0].change(t, "?confirm_s=2", keys{"disp_port": 4444})
	g.nodes[1].call(t, 409, call{path: "/v3/change_settings/", body: keys{"disp_port": 4445}})
	g.nodes[2].kill() // and comes back too late to be asked
	eventually(t, "the others have rolled back", func() bool {
		_, a := g.nodes[0].settings(t)
		_, b := g.nodes[1].settings(t)
		return a == 3 && b == 3
	})
	g.restart(t, 2)
	eventually(t, "all have revision 3", func() bool { return slices.Equal(g.revisions(t), []int64{3, 3, 3}) })
	if document, _ := g.nodes[2].settings(t); document["disp_port"] != 4200.0 {
		t.Errorf("got disp_port %v, want 4200", document["disp_port"])
	}
}

func TestAConfirmationReachesAllNodes(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 3, nil)
	at := g.nodes[0].change(t, "?confirm_s=3", keys{"disp_port": 4444}).RollbackAt
	g.nodes[2].kill()
	g.nodes[1].call(t, 200, call{path: "/v3/confirm_settings/", body: keys{}})
	time.Sleep(time.Until(*at)) // its time is over when it comes back: it asks first
	g.restart(t, 2)
	eventually(t, "nothing waits any more", func() bool {
		r, err := g.nodes[2].try(call{path: "/v3/change_settings/", body: keys{"disp_port": 4446}})
		return err == nil && r.status == 200
	})
	if got := g.revisions(t); !slices.Equal(got, []int64{3, 3, 3}) {
		t.Errorf("got revisions %v, want 3 everywhere", got)
	}
}

func TestChangesDropNoSession(t *testing.T) {
	t.Parallel()
	g, vm := startGroup(t, 3, nil), startVM(t)
	var sessions []session
	for i := range 200 {
		from := loopback(fmt.Sprint(t.Name(), " client ", i%4))
		sessions = append(sessions, g.nodes[i%3].openFrom(t, from, vm, nil).dial(t, from))
	}
	for i, document := range []keys{
		{"disp_port": 4444},
		{"limits": keys{"max_connections": 500, "open_per_client_per_s": 0}},
		{"balance": keys{"algorithm": "roundrobin"}},
		{"timeouts": keys{"keepalive_s": 11}},
		{"api_port": testMoved},
		{"port_range_stop": testLast + 50},
		{"api_port": testAPIPort},
		{"cluster_key": "another-cluster-key-0123456789"},
		{"trusted_proxies": []string{"10.9.9.9"}},
		{"stats_port": 18055},
	} {
		port := testAPIPort
		if i > 4 && i < 7 {
			port = testMoved
		}
		g.nodes[i%3].call(t, 200, call{path: "/v3/change_settings/", body: document, port: port})
		for k, s := range sessions {
			if err := s.echo("x"); err != nil {
				t.Fatalf("after %v session %d: %v", document, k, err)
			}
		}
	}
}
