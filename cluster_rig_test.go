package main

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"vdi-gateway/settingsdb"
)

// group is a cluster on one loopback: every node with an address of its own, and
// a virtual address that they share.
type group struct {
	nodes   []*child
	virtual netip.Addr
}

// startGroup starts n nodes with the same settings and waits until they know of
// each other.
func startGroup(tb testing.TB, n int, over keys) *group {
	tb.Helper()
	g := &group{virtual: loopback(tb.Name() + " virtual")}
	var own []netip.Addr
	for i := range n {
		own = append(own, loopback(fmt.Sprintf("%s %d", tb.Name(), i)))
	}
	slices.SortFunc(own, netip.Addr.Compare)
	document := g.document(tb, own, over)
	for _, a := range own {
		g.nodes = append(g.nodes, launch(tb, newDatabase(tb, document), a, "--node", a.String()))
	}
	g.together(tb)
	return g
}

func (g *group) document(tb testing.TB, own []netip.Addr, over keys) settingsdb.Settings {
	tb.Helper()
	all := keys{"internal_addrs": own, "virtual_addr": g.virtual, "listen_ip": ""}
	for k, v := range over {
		all[k] = v
	}
	return testSettings(tb, own[0], all)
}

// together waits until all nodes serve and know of each other.
func (g *group) together(tb testing.TB) {
	tb.Helper()
	for _, n := range g.nodes {
		n.waitReady(tb)
	}
	eventually(tb, "all nodes are alive for each other, with the same settings", func() bool {
		for _, n := range g.nodes {
			if !g.sees(tb, n) {
				return false
			}
		}
		return true
	})
}

// sees tells whether a node finds all alive and of one revision.
func (g *group) sees(tb testing.TB, n *child) bool {
	tb.Helper()
	r, err := n.try(call{path: "/v3/health/"})
	if err != nil || r.status != 200 {
		return false
	}
	h := into[contractHealth](tb, r)
	alive := 0
	for _, m := range h.Cluster {
		if m.Alive && m.Revision == h.SettingsRevision {
			alive++
		}
	}
	return alive == len(g.nodes)
}

// restart starts a node again that has ended.
func (g *group) restart(tb testing.TB, i int) {
	tb.Helper()
	was := g.nodes[i]
	g.nodes[i] = launch(tb, was.db, was.addr, "--node", was.addr.String())
	g.nodes[i].waitReady(tb)
}

// revisions are those of all nodes.
func (g *group) revisions(tb testing.TB) (all []int64) {
	tb.Helper()
	for _, n := range g.nodes {
		_, r := n.settings(tb)
		all = append(all, r)
	}
	return all
}
