package main

import (
	"net"
	"net/netip"
	"strconv"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/api/certificate"
	"vdi-gateway/api/certificate/acme"
	"vdi-gateway/api/statistics"
	"vdi-gateway/balancer"
	"vdi-gateway/gateway"
	"vdi-gateway/gateway/kernel"
	"vdi-gateway/settingsdb"
	"vdi-gateway/vrrp"
)

// plan is the wanted state of every part, derived from the settings for one
// node. It stands where the original generated haproxy.cfg and keepalived.conf.
type plan struct {
	gateway     gateway.Config
	kernel      kernel.Config
	balancer    balancer.Config
	cluster     planCluster
	statistics  statistics.Config
	vrrp        vrrp.Config
	gate        planAccess
	certificate certificate.Config
	acme        acme.Config
	api         api.Config
}

// newPlan derives the plan for node from valid settings. An invalid node is a
// host that is not in internal_addrs: it serves the API alone.
//
// accepted are keys that other nodes may use beside cluster_key.
func newPlan(s settingsdb.Settings, node netip.Addr, accepted ...string) plan {
	return plan{
		gateway: planGateway(s, node), kernel: planKernel(s, node), balancer: planBalancer(s, node), cluster: planPeers(s, node, accepted...),
		statistics: planStatistics(s, node), vrrp: planVRRP(s, node), gate: planGate(s), certificate: planCertificate(s, accepted...),
		acme: planACME(s, node), api: planAPI(s, node),
	}
}

func planGateway(s settingsdb.Settings, node netip.Addr) gateway.Config {
	c := gateway.Config{
		Enabled:    s.IsEnabled && node.IsValid(),
		Node:       node,
		PublicAddr: publicAddr(s, node),
		PortStart:  port(s.PortRangeStart),
		PortStop:   port(s.PortRangeStop),
		Limits: gateway.Limits{
			Connections:   s.Limits.MaxConnections,
			PerClient:     s.Limits.MaxPerClient,
			OpenPerSecond: s.Limits.OpenPerClientPerS,
		},
		Timeouts: planTimeouts(s.Timeouts),
		Targets:  planTargets(s),
		Trusted:  trusted(s),
	}
	if !node.IsValid() {
		return c
	}
	c.Listen = []netip.Addr{node}
	c.Service = planService(s, node)
	if v := virtualOf(s); v.IsValid() {
		// A standby is ready before the address arrives.
		c.Listen, c.Freebind, c.Nodes = append(c.Listen, v), true, nodesOf(s)
	}
	return c
}

// publicAddr is where clients connect to.
func publicAddr(s settingsdb.Settings, node netip.Addr) string {
	switch {
	case s.PublicAddr != "":
		return s.PublicAddr
	case s.VirtualAddr != "":
		return s.VirtualAddr
	case node.IsValid():
		return node.String()
	default:
		return ""
	}
}

func planTimeouts(t settingsdb.Timeouts) gateway.Timeouts {
	return gateway.Timeouts{
		Grant:       time.Duration(t.GrantS) * time.Second,
		Dial:        time.Duration(t.DialMS) * time.Millisecond,
		Idle:        time.Duration(t.IdleS) * time.Second,
		HalfClose:   time.Duration(t.HalfCloseS) * time.Second,
		Keepalive:   time.Duration(t.KeepaliveS) * time.Second,
		UserTimeout: time.Duration(t.UserTimeoutMS) * time.Millisecond,
		SessionMax:  time.Duration(t.SessionMaxS) * time.Second,
	}
}

func planTargets(s settingsdb.Settings) gateway.Targets {
	t := gateway.Targets{Ports: portRanges(s.Targets.Ports), RequireTicket: s.Targets.RequireTicket}
	for _, a := range s.Targets.Allow {
		p, err := netip.ParsePrefix(a.CIDR)
		if err != nil {
			continue // valid settings have none
		}
		allow := gateway.Target{Prefix: p}
		if a.Ports != nil {
			allow.Ports = portRanges(a.Ports)
		}
		t.Allow = append(t.Allow, allow)
	}
	t.Refused = append(t.Refused, s.InternalAddrs...)
	for _, addr := range []string{s.VirtualAddr, s.InsideAddr, s.PublicAddr} {
		if addr != "" {
			t.Refused = append(t.Refused, addr)
		}
	}
	t.Refused = append(t.Refused, s.DispAddrs...)
	return t
}

func portRanges(entries []string) []gateway.PortRange {
	ranges := make([]gateway.PortRange, 0, len(entries))
	for _, e := range entries {
		if r, err := settingsdb.ParsePorts(e); err == nil { // valid settings have no other
			ranges = append(ranges, gateway.PortRange{First: r.First, Last: r.Last})
		}
	}
	return ranges
}

// planService puts the service tunnel on the node's own address: where clients
// reach it on a node alone, where the balancer does in a cluster.
func planService(s settingsdb.Settings, node netip.Addr) gateway.Service {
	listen := s.ServicePort
	if s.VirtualAddr != "" {
		listen = s.ServiceBackendPort
	}
	svc := gateway.Service{Listen: netip.AddrPortFrom(node, port(listen))}
	for _, d := range s.DispAddrs {
		svc.Dispatchers = append(svc.Dispatchers, net.JoinHostPort(d, strconv.Itoa(s.DispPort)))
	}
	return svc
}

func planAPI(s settingsdb.Settings, node netip.Addr) api.Config {
	c := api.Config{
		APIKey: s.APIKey, ClientKey: s.CLIKey, Node: node, Trusted: trusted(s),
		PingInterval: time.Duration(s.Console.PingS) * time.Second,
		Compression:  s.Compression,
	}
	for _, a := range apiAddrs(s, node) {
		c.Listen = append(c.Listen, netip.AddrPortFrom(a, port(s.APIPort)))
	}
	planConsole(&c, s, node)
	return c
}

// apiAddrs are the addresses of the API: listen_ip, by default all. The other
// nodes reach it on the node's own address, whatever listen_ip says. Several
// nodes on one loopback cannot share the wildcard: each takes its own address.
func apiAddrs(s settingsdb.Settings, node netip.Addr) []netip.Addr {
	ip := s.ListenIP
	if own := s.Node(node).ListenIP; own != "" {
		ip = own
	}
	listen, err := netip.ParseAddr(ip)
	switch {
	case err == nil && s.VirtualAddr != "" && node.IsValid() && node != listen.Unmap() && !listen.IsUnspecified():
		return []netip.Addr{listen, node}
	case err == nil:
		return []netip.Addr{listen}
	case node.IsLoopback() && (len(s.InternalAddrs) > 1 || s.VirtualAddr != ""):
		return []netip.Addr{node}
	default:
		return []netip.Addr{netip.IPv6Unspecified()}
	}
}

// port narrows a port of valid settings.
func port(n int) uint16 { return uint16(n) } //nolint:gosec // Validate keeps it within 1..65535
