package main

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/api/peer"
	"vdi-gateway/balancer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

// behind makes p that of a node behind the virtual address v.
func behind(p *plan, v string, refused ...string) {
	virtual, nodes := netip.MustParseAddr(v), addrs("10.0.0.1", "10.0.0.2")
	trusted := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32"),
		netip.MustParsePrefix("10.8.0.1/32"), netip.MustParsePrefix("10.8.1.0/24"),
	}
	p.gateway.PublicAddr, p.gateway.Freebind, p.gateway.Trusted = v, true, trusted
	p.gateway.Nodes = nodes
	p.gateway.Listen = append(p.gateway.Listen, virtual)
	p.gateway.Service.Listen = netip.MustParseAddrPort("10.0.0.2:4301")
	p.gateway.Targets.Refused = slices.Concat([]string{"10.0.0.1", "10.0.0.2"}, refused, []string{"10.9.0.1", "dispatcher.example"})
	p.api.Trusted = trusted
	p.statistics.Listen, p.statistics.Freebind = append(p.statistics.Listen, netip.AddrPortFrom(virtual, 8033)), true
	p.cluster.peers = peer.Config{Node: p.api.Node, Nodes: nodes, Port: 8001, Keys: []string{"key-of-nodes"}}
	p.cluster.directory = directory.Config{Node: p.api.Node, Peers: nodes, Port: 10044, Key: "key-of-nodes"}
	p.vrrp = vrrp.Config{
		Addrs: []netip.Prefix{netip.PrefixFrom(virtual, virtual.BitLen())}, Node: p.api.Node,
		Version: 3, VRID: 1, Priority: 244, Interval: 100 * time.Millisecond, Checksum: vrrp.ChecksumPseudo,
	}
	p.balancer = balancer.Config{
		Enabled: true, Node: p.api.Node, Virtual: virtual, Freebind: true, Nodes: nodes, APIPort: 8001,
		Fronts: []balancer.Front{
			{Name: "api", Port: 8022, Backend: 8001, Sticky: true}, {Name: "service", Port: 444, Backend: 4301, Sticky: true},
		},
		Algorithm: balancer.Rendezvous, StickyTTL: 41 * time.Second, MaskV4: 24, MaskV6: 48,
		Timeouts: balancer.Timeouts{
			Dial: 22 * time.Millisecond, HalfClose: 24 * time.Second, Keepalive: 25 * time.Second, User: 26 * time.Millisecond,
		},
	}
}

// Where the API listens on a loopback and in a cluster.
func TestAPIAddrs(t *testing.T) {
	for _, tt := range []struct {
		name     string
		internal []string
		node     string
		listenIP string
		virtual  string
		want     []netip.Addr
	}{
		{"alone on a loopback", []string{"127.0.0.1"}, "127.0.0.1", "", "", addrs("::")},
		{"several on one loopback", []string{"127.0.0.1", "127.0.0.2"}, "127.0.0.2", "", "", addrs("127.0.0.2")},
		{"one on a loopback that others may share", []string{"127.0.0.1"}, "127.0.0.1", "", "127.0.0.100", addrs("127.0.0.1")},
		{"several on one loopback, listen_ip set", []string{"127.0.0.1", "127.0.0.2"}, "127.0.0.2", "127.0.0.9", "", addrs("127.0.0.9")},
		{"in a cluster listen_ip is in addition", []string{"10.0.0.1", "10.0.0.2"}, "10.0.0.2", "10.5.5.5", "10.0.0.9", addrs("10.5.5.5", "10.0.0.2")},
		{"in a cluster listen_ip is the node's own", []string{"10.0.0.1", "10.0.0.2"}, "10.0.0.2", "10.0.0.2", "10.0.0.9", addrs("10.0.0.2")},
		{"in a cluster listen_ip is the wildcard", []string{"10.0.0.1", "10.0.0.2"}, "10.0.0.2", "::", "10.0.0.9", addrs("::")},
		{"no node of the cluster", []string{"10.0.0.1", "10.0.0.2"}, "", "10.5.5.5", "10.0.0.9", addrs("10.5.5.5")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := settingsdb.Default()
			s.InternalAddrs, s.ListenIP, s.VirtualAddr = tt.internal, tt.listenIP, tt.virtual
			var node netip.Addr
			if tt.node != "" {
				node = netip.MustParseAddr(tt.node)
			}
			same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(tt.want, apiAddrs(s, node), same); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
		})
	}
}
