package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	clusterNodes = 3
	// users have an address and a tunnel each, of so many channels.
	users        = 64
	channelsEach = 64
	clusterIdle  = 4000
	// clusterClients open tunnels, as many as keep the nodes busy without long
	// queues on two processors.
	clusterClients = 12
	clusterChecked = 500
	frontAPI       = 8002
	rangeStart     = 20000
)

// clusterKinds are the figures and their units; process: of programs, which direct
// has none of.
var clusterKinds = []struct {
	name, unit string
	process    bool
}{
	{"cluster.bulk32", "Gb/s", false},
	{"cluster.p50_1", "us", false},
	{"cluster.cpu_per_conn", "us", true},
	{"cluster.idle_rss_kb", "KB", true},
	{"cluster.open_per_s", "1/s", true},
	{"cluster.open_p99_ms", "ms", true},
}

func clusterFigures() (all []figure.Figure) {
	for _, k := range clusterKinds {
		all = append(all, figure.Figure{Name: k.name, Peer: "haproxy", Unit: k.unit})
		if !k.process {
			all = append(all, figure.Figure{Name: k.name, Peer: "direct", Unit: k.unit})
		}
	}
	return append(all, syncFigure)
}

// clustered is the setting: three nodes of which the first has the virtual
// address and the second the tunnels, HAProxy in front of the same nodes, and no
// gateway at all.
type clustered struct {
	sheet   *figure.Sheet
	network *lab.Network
	dir     string
	virtual netip.Addr
	clients *lab.Host
	target  *lab.Host // of all tunnels
	server  netip.AddrPort
	nodes   []*node.Node
	front   *lab.Host // HAProxy's
	ways    []*way
	opens   *openers
	key     string
}

// way is how a client gets to the server.
type way struct {
	name string
	addr netip.AddrPort
	cost meter // of all programs on it; nil: there are none
	gate meter // of the first one, which the ways do not share
}

// benchCluster measures three nodes as one gateway. An error means that the check
// failed or nothing could be measured.
func benchCluster(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, relayTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sheet := figure.NewSheet(os.Stdout, clusterFigures()...)
	network, err := lab.Make()
	if err == nil {
		defer network.Close()
		c := &clustered{sheet: sheet, network: network, dir: dir, virtual: netip.MustParseAddr("10.99.0.99")}
		err = c.measure(ctx)
	}
	if errors.Is(err, errWrong) {
		sheet.Void(err)
		return err
	}
	if err != nil {
		sheet.Missing(err)
	}
	sheet.Print(strings.Join([]string{figure.Machine(time.Now()), peer.HAProxyVersion(), congestion()}, ", "))
	return err
}

func (c *clustered) measure(ctx context.Context) error {
	if err := allowDescriptors(); err != nil {
		return err
	}
	binary, err := builtRelay(ctx, c.sheet, c.dir)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		c.addHosts, func(ctx context.Context) error { return c.addNodes(ctx, binary) }, c.addHAProxy, c.addTunnels,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	err = figure.Rounds(ctx, func(round, of int) error {
		c.sheet.Progress("round %d of %d", round+1, of)
		return c.round(ctx, round)
	})
	return first(err, c.sync(ctx))
}

// addHosts adds clients and server.
func (c *clustered) addHosts(context.Context) (err error) {
	var own []string
	for i := range users {
		own = append(own, fmt.Sprintf("10.99.0.%d/24", 100+i))
	}
	if c.clients, err = c.network.AddHost("clients", own...); err != nil {
		return err
	}
	if c.target, err = c.network.AddHost("server", "10.99.0.20/24"); err != nil {
		return err
	}
	if c.front, err = c.network.AddHost("haproxy", "10.99.0.50/24"); err != nil {
		return err
	}
	c.server = netip.AddrPortFrom(c.target.Addr(), serverPort)
	return first(prepare(c.clients), prepare(c.target), prepare(c.front), load.Serve(c.target, c.server), echoOn(c.target))
}

func (c *clustered) nodeAddrs() (list []netip.Addr) {
	for i := range clusterNodes {
		list = append(list, netip.AddrFrom4([4]byte{10, 99, 0, byte(i + 1)}))
	}
	return list
}

// addNodes starts the nodes; the first one is preferred and gets the virtual address.
func (c *clustered) addNodes(ctx context.Context, binary string) error {
	for i, a := range c.nodeAddrs() {
		host, err := c.network.AddHost(fmt.Sprintf("node%d", i+1), a.String()+"/24")
		if err != nil {
			return err
		}
		if err := prepare(host); err != nil {
			return err
		}
		n, err := node.Start(host, node.Config{Binary: binary, DB: filepath.Join(c.dir, host.Name(), "settings.db"), Settings: node.Settings{
			"internal_addrs": c.nodeAddrs(), "virtual_addr": c.virtual.String(), "balancer_api_port": frontAPI,
			"port_range_start": rangeStart, "port_range_stop": rangeStart + 9999,
			"trusted_proxies": []string{c.front.Addr().String()}, "timeouts": map[string]any{"grant_s": 300},
		}})
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	c.key = c.nodes[0].ClientKey()
	c.sheet.Progress("waiting until no node is spared any more, as those that came up are")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(11 * time.Second):
		return nil
	}
}

// addHAProxy puts HAProxy in front of the nodes; what it is to carry is the
// second node's, and it goes there straight.
func (c *clustered) addHAProxy(context.Context) error {
	h, err := peer.HAProxyInFront(c.front, c.nodeAddrs(), c.nodeAddrs()[1], rangeStart, filepath.Join(c.dir, "haproxy.cfg"))
	if err != nil {
		return err
	}
	owner := peer.Of(c.nodes[1])
	c.ways = []*way{
		{name: "ours", gate: peer.Of(c.nodes[0]), cost: peer.Group{peer.Of(c.nodes[0]), owner}},
		{name: "haproxy", gate: h, cost: peer.Group{h, owner}},
		{name: "direct", addr: c.server},
	}
	c.opens = &openers{clients: c.clients, vm: c.target}
	return nil
}

// addTunnels opens a tunnel for every user at the second node. All have the same
// port there, since ports are each client's own.
func (c *clustered) addTunnels(ctx context.Context) error {
	port := uint16(0)
	for _, from := range c.clients.Addrs() {
		client := c.nodes[1].Client(c.clients, from)
		t, err := client.Open(ctx, node.OpenRequest{
			VMAddress: c.server.Addr().String(), VMPort: int(c.server.Port()), TTLS: 300, Channels: channelsEach,
		})
		client.Close()
		if err != nil {
			return err
		}
		if port != 0 && t.Port != port {
			return fmt.Errorf("the tunnels have ports %d and %d, and one was expected", port, t.Port)
		}
		port = t.Port
	}
	c.ways[0].addr = netip.AddrPortFrom(c.virtual, port)
	c.ways[1].addr = netip.AddrPortFrom(c.front.Addr(), port)
	return nil
}
