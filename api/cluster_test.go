package api

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/gateway"
)

// cluster is two nodes, on 127.0.0.1 and 127.0.0.2, that know of each other what
// the test tells them.
type cluster struct {
	a, b *node

	mu       sync.Mutex
	owners   map[string]netip.Addr // by connection and by token
	silent   []netip.Addr          // do not answer
	confused bool                  // each node takes the other for every owner
	late     bool                  // the next question for an owner comes before the answer is known

	between func(netip.AddrPort) netip.AddrPort // stands in front of a node
}

var addrA, addrB = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterOver(t, overTLS(t))
}

func newClusterOver(t *testing.T, secure bool) *cluster {
	t.Helper()
	c := &cluster{owners: map[string]netip.Addr{}}
	start := func(own netip.Addr) *node {
		return newNodeWith(t, func(d *Deps) {
			d.Cluster = c
			if secure {
				d.TLS = newKeeper(t)
			}
			d.Elsewhere = func(id gateway.ConnectionID, token gateway.Secret) netip.Addr {
				return c.elsewhere(own, string(id), token.Reveal())
			}
		}, func(cfg *Config, g *gateway.Config) {
			cfg.Listen = []netip.AddrPort{netip.AddrPortFrom(own, 0)}
			cfg.Node, g.Node, g.Listen = own, own, []netip.Addr{own}
			cfg.Trusted = []netip.Prefix{netip.PrefixFrom(addrA, 32), netip.PrefixFrom(addrB, 32), netip.MustParsePrefix(proxyAddr + "/32")}
		})
	}
	c.a, c.b = start(addrA), start(addrB)
	return c
}

func (c *cluster) elsewhere(own netip.Addr, id, token string) netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.confused {
		return map[netip.Addr]netip.Addr{addrA: addrB, addrB: addrA}[own]
	}
	if c.late {
		c.late = false
		return netip.Addr{}
	}
	owner, ok := c.owners[id]
	if !ok {
		owner = c.owners[token]
	}
	if owner == own {
		return netip.Addr{}
	}
	return owner
}

// openOn opens a tunnel on n and lets the other node know.
func (c *cluster) openOn(n *node, target netip.AddrPort, more ...string) grantAnswer {
	grant := n.open(target, more...)
	owner := addrA
	if n == c.b {
		owner = addrB
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owners[grant.ConnectionID], c.owners[grant.Token] = owner, owner
	return grant
}

func (c *cluster) Knows(node netip.Addr) bool { return node == addrA || node == addrB }

func (c *cluster) Forward(node netip.Addr) netip.AddrPort {
	n := c.b
	if node == addrA {
		n = c.a
	}
	addrs := n.server.Addrs()
	switch {
	case len(addrs) == 0:
		return netip.AddrPortFrom(node, 1) // it has stopped
	case c.between != nil:
		return c.between(addrs[0])
	}
	return addrs[0]
}

// answering are the gateways that answer, and what there is to say of the rest.
func (c *cluster) answering() (gateways []*gateway.Gateway, missing error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, n := range map[netip.Addr]*node{addrA: c.a, addrB: c.b} {
		if !slices.Contains(c.silent, addr) {
			gateways = append(gateways, n.gateway)
		}
	}
	if len(c.silent) > 0 {
		missing = &Incomplete{Nodes: c.silent}
	}
	return gateways, missing
}

func (c *cluster) Connections(_ context.Context, f gateway.Filter) (all []gateway.Connection, total int, err error) {
	gateways, err := c.answering()
	for _, g := range gateways {
		found, n := g.Connections(f)
		all, total = append(all, found...), total+n
	}
	return all, total, err
}

func (c *cluster) Disconnect(ctx context.Context, s gateway.Selector, detail string) (ended, missing []gateway.ConnectionID, err error) {
	gateways, err := c.answering()
	for _, g := range gateways {
		e, _, _ := g.Disconnect(ctx, s, detail)
		ended = append(ended, e...)
	}
	for _, id := range s.IDs {
		if !slices.Contains(ended, id) {
			missing = append(missing, id)
		}
	}
	return ended, missing, err
}

func TestClusterPaging(t *testing.T) {
	c := newCluster(t)
	target := vm(t)
	var want []string // in order of time
	for i := range 9 {
		n := c.a
		if i%3 != 0 {
			n = c.b
		}
		want = append(want, n.open(target, `"mode":"websocket"`, `"probe":false`).ConnectionID)
	}
	for _, limit := range []int{1, 2, 4, 8, 9, 10} {
		var got []string
		for next := ""; ; {
			var page connectionsAnswer
			path := fmt.Sprintf("/v3/get_connections/?scope=cluster&limit=%d&cursor=%s", limit, url.QueryEscape(next))
			c.a.api("GET", path, "").into(200, &page)
			if page.Total != len(want) || len(page.Connections) > limit {
				t.Fatalf("limit %d: got total %d and %d entries, want %d", limit, page.Total, len(page.Connections), len(want))
			}
			for _, entry := range page.Connections {
				got = append(got, entry.ConnectionID)
			}
			if page.Next == nil {
				break
			}
			next = *page.Next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
	var page connectionsAnswer
	c.a.api("GET", "/v3/get_connections/", "").into(200, &page)
	if page.Total != 3 {
		t.Errorf("got %d of this node, want 3", page.Total)
	}
}

func TestClusterDisconnect(t *testing.T) {
	c := newCluster(t)
	target := vm(t)
	open := func(n *node) string {
		return n.open(target, `"mode":"websocket"`, `"probe":false`, `"user":"alice"`).ConnectionID
	}
	there, here := open(c.b), open(c.a)
	end := func(body string) (got disconnectAnswer) {
		c.a.api("POST", "/v3/disconnect/", body).into(200, &got)
		slices.Sort(got.Disconnected)
		return got
	}
	got := end(`{"connection_id":"` + there + `","scope":"node"}`)
	if diff := cmp.Diff(disconnectAnswer{Disconnected: []string{}, NotFound: []string{there}}, got); diff != "" {
		t.Errorf("on the node alone: %s", diff)
	}
	both := []string{here, there}
	slices.Sort(both)
	got = end(`{"user":"alice"}`)
	if diff := cmp.Diff(disconnectAnswer{Disconnected: both, NotFound: []string{}, Count: 2}, got); diff != "" {
		t.Errorf("by default: %s", diff)
	}
}

func TestClusterNamesSilentNodes(t *testing.T) {
	c := newCluster(t)
	if text := string(c.a.api("GET", "/v3/get_connections/?scope=cluster", "").body); strings.Contains(text, "missing_nodes") {
		t.Errorf("got %s while all answer, want no missing_nodes", text)
	}
	c.mu.Lock()
	c.silent = []netip.Addr{addrB}
	c.mu.Unlock()
	for path, body := range map[string]string{"/v3/get_connections/?scope=cluster": "", "/v3/disconnect/": `{"all":true}`} {
		method := "POST"
		if body == "" {
			method = "GET"
		}
		var got struct {
			Missing []string `json:"missing_nodes"`
		}
		c.a.api(method, path, body).into(200, &got)
		if diff := cmp.Diff([]string{"127.0.0.2"}, got.Missing); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}
