package main

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/api/peer"
	"vdi-gateway/api/statistics"
	"vdi-gateway/balancer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

// planCluster is who the nodes are and what they say to each other with.
type planCluster struct {
	peers     peer.Config
	directory directory.Config
}

// planPeers makes the nodes of the document one cluster. accepted are keys that
// others may use already, or still.
func planPeers(s settingsdb.Settings, node netip.Addr, accepted ...string) planCluster {
	nodes := nodesOf(s)
	if s.VirtualAddr == "" || !node.IsValid() || len(nodes) < 2 {
		return planCluster{directory: directory.Config{Node: node}}
	}
	keys := clusterKeys(s, accepted)
	return planCluster{
		peers: peer.Config{
			Node: node, Nodes: nodes, Port: port(s.APIPort), Keys: keys, TLS: s.SSL,
		},
		directory: directory.Config{
			Node: node, Peers: nodes, Port: port(s.PeersPort), Key: keys[0], FormerKeys: keys[1:],
		},
	}
}

// clusterKeys are the document's and those that are accepted beside.
func clusterKeys(s settingsdb.Settings, accepted []string) []string {
	keys := []string{s.ClusterKey.Reveal()}
	for _, k := range accepted {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// planBalancer puts the service tunnel and the client API on the virtual address.
func planBalancer(s settingsdb.Settings, node netip.Addr) balancer.Config {
	v := virtualOf(s)
	if !s.IsEnabled || !node.IsValid() || !v.IsValid() {
		return balancer.Config{}
	}
	c := balancer.Config{
		Enabled: true, Node: node, Virtual: v, Freebind: true, Nodes: nodesOf(s), APIPort: port(s.APIPort),
		Algorithm: balancer.Algorithm(s.Balance.Algorithm),
		StickyTTL: time.Duration(s.Balance.StickyTTLS) * time.Second,
		MaskV4:    s.Balance.StickyMaskV4, MaskV6: s.Balance.StickyMaskV6,
		Fronts: []balancer.Front{{Name: "api", Port: port(s.BalancerAPIPort), Backend: port(s.APIPort), Sticky: true}},
		Timeouts: balancer.Timeouts{
			Dial:      time.Duration(s.Timeouts.DialMS) * time.Millisecond,
			HalfClose: time.Duration(s.Timeouts.HalfCloseS) * time.Second,
			Keepalive: time.Duration(s.Timeouts.KeepaliveS) * time.Second,
			User:      time.Duration(s.Timeouts.UserTimeoutMS) * time.Millisecond,
		},
	}
	if len(s.DispAddrs) > 0 {
		c.Fronts = append(c.Fronts, balancer.Front{Name: "service", Port: port(s.ServicePort), Backend: port(s.ServiceBackendPort), Sticky: true})
	}
	return c
}

// planStatistics serves the page where a monitor looks for a node, and where
// people look for the gateway.
func planStatistics(s settingsdb.Settings, node netip.Addr) statistics.Config {
	if !node.IsValid() {
		return statistics.Config{}
	}
	c := statistics.Config{Listen: []netip.AddrPort{netip.AddrPortFrom(node, port(s.StatsPort))}}
	if v := virtualOf(s); v.IsValid() {
		c.Listen, c.Freebind = append(c.Listen, netip.AddrPortFrom(v, port(s.StatsPort))), true
	}
	return c
}

// planVRRP has this node compete for the virtual address. On one loopback all nodes
// have it.
func planVRRP(s settingsdb.Settings, node netip.Addr) vrrp.Config {
	v := virtualOf(s)
	if !s.IsEnabled || !node.IsValid() || !v.IsValid() || v.IsLoopback() {
		return vrrp.Config{}
	}
	own := s.Node(node)
	c := vrrp.Config{
		Addrs:     []netip.Prefix{netip.PrefixFrom(v, s.VirtualPrefixLen)},
		Interface: cmp.Or(own.Interface, s.Interface), Node: node,
		Version: uint8(s.VRRP.Version), VRID: vrrp.VRID(s.VRRP.RouterID), //nolint:gosec // Validate keeps them small
		Priority: priorityOf(s, node), Interval: time.Duration(s.VRRP.AdvertMS) * time.Millisecond,
		Preempt: s.VRRP.Preempt, PreemptDelay: time.Duration(s.VRRP.PreemptDelayS) * time.Second,
		Checksum: vrrp.Checksum(s.VRRP.Checksum),
	}
	for _, p := range besides(s) {
		c.Inside = append(c.Inside, vrrp.Placed{Prefix: p})
	}
	if s.VRRP.Mode == "unicast" {
		c.Peers = slices.DeleteFunc(nodesOf(s), func(a netip.Addr) bool { return a == node || a.Is6() != v.Is6() })
	}
	return c
}

// priorityOf is the node's own, or by its place in the document: the first node is
// preferred.
func priorityOf(s settingsdb.Settings, node netip.Addr) uint8 {
	if p := s.Node(node).Priority; p != 0 {
		return uint8(p) //nolint:gosec // Validate keeps it within 0..254
	}
	return uint8(254 - 10*slices.Index(nodesOf(s), node)) //nolint:gosec // there are 16 nodes at most
}

// nodesOf are the addresses of all nodes, in the order of the document.
func nodesOf(s settingsdb.Settings) []netip.Addr {
	var nodes []netip.Addr
	for _, text := range s.InternalAddrs {
		if a, err := netip.ParseAddr(text); err == nil { // valid settings have no other
			nodes = append(nodes, a.Unmap())
		}
	}
	return nodes
}

// virtualOf is the virtual address; invalid: the node is alone.
func virtualOf(s settingsdb.Settings) netip.Addr {
	v, _ := netip.ParseAddr(s.VirtualAddr) // "" is no address
	return v.Unmap()
}

// trusted are those whose word about a client's address is taken: the nodes,
// this one for its own balancer, and trusted_proxies. A node alone has no
// balancer in front.
func trusted(s settingsdb.Settings) []netip.Prefix {
	if s.VirtualAddr == "" {
		return nil
	}
	var list []netip.Prefix
	for _, a := range nodesOf(s) {
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, text := range s.TrustedProxies {
		if p, err := netip.ParsePrefix(text); err == nil {
			list = append(list, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil { // valid settings have no other
			list = append(list, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		}
	}
	return list
}
