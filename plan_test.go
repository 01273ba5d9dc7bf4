package main

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vdi-gateway/api"
	"vdi-gateway/api/statistics"
	"vdi-gateway/balancer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/access"
	"vdi-gateway/vrrp"
)

// planSettings is a document of two nodes in which every number is another one.
func planSettings() settingsdb.Settings {
	s := settingsdb.Default()
	s.InternalAddrs = []string{"10.0.0.1", "10.0.0.2"}
	s.APIKey, s.CLIKey, s.ClusterKey = "key-of-dispatchers", "key-of-clients", "key-of-nodes"
	s.APIPort, s.PortRangeStart, s.PortRangeStop = 8001, 6001, 6099
	s.ServicePort, s.ServiceBackendPort = 444, 4301
	s.BalancerAPIPort, s.StatsPort, s.PeersPort = 8022, 8033, 10044
	s.Balance = settingsdb.Balance{Algorithm: "rendezvous", StickyTTLS: 41, StickyMaskV4: 24, StickyMaskV6: 48}
	s.TrustedProxies = []string{"10.8.0.1", "10.8.1.5/24"}
	s.DispAddrs, s.DispPort = []string{"10.9.0.1", "dispatcher.example"}, 4201
	s.Limits = settingsdb.Limits{MaxConnections: 11, MaxPerClient: 12, OpenPerClientPerS: 13}
	s.Timeouts = settingsdb.Timeouts{
		GrantS: 21, DialMS: 22, IdleS: 23, HalfCloseS: 24, KeepaliveS: 25, UserTimeoutMS: 26, SessionMaxS: 27,
	}
	s.Targets = settingsdb.Targets{
		Allow: []settingsdb.Target{{CIDR: "10.1.0.0/16"}, {CIDR: "fd00::/8", Ports: []string{"22", "80-81"}}, {CIDR: "10.2.0.0/16", Ports: []string{}}},
		Ports: []string{"3389", "5900-5999"}, RequireTicket: true,
	}
	s.Console.PingS = 31
	s.Access = settingsdb.Access{AllowFrom: "10.0.0.0/8,::1", DenyFrom: "all", Policy: "deny"}
	return s
}

// planned is the plan of planSettings for 10.0.0.2 alone.
func planned() plan {
	addressSet := func(text string) access.Set {
		s, _ := access.ParseSet(text) // it is right
		return s
	}
	node := netip.MustParseAddr("10.0.0.2")
	return plan{
		gateway: gateway.Config{
			Enabled: true, Node: node, Listen: []netip.Addr{node}, PublicAddr: "10.0.0.2",
			PortStart: 6001, PortStop: 6099,
			Limits: gateway.Limits{Connections: 11, PerClient: 12, OpenPerSecond: 13},
			Timeouts: gateway.Timeouts{
				Grant: 21 * time.Second, Dial: 22 * time.Millisecond, Idle: 23 * time.Second, HalfClose: 24 * time.Second,
				Keepalive: 25 * time.Second, UserTimeout: 26 * time.Millisecond, SessionMax: 27 * time.Second,
			},
			Targets: gateway.Targets{
				Allow: []gateway.Target{
					{Prefix: netip.MustParsePrefix("10.1.0.0/16")},
					{Prefix: netip.MustParsePrefix("fd00::/8"), Ports: []gateway.PortRange{{First: 22, Last: 22}, {First: 80, Last: 81}}},
					{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Ports: []gateway.PortRange{}},
				},
				Ports:         []gateway.PortRange{{First: 3389, Last: 3389}, {First: 5900, Last: 5999}},
				RequireTicket: true,
				Refused:       []string{"10.0.0.1", "10.0.0.2", "10.9.0.1", "dispatcher.example"},
			},
			Service: gateway.Service{
				Listen:      netip.MustParseAddrPort("10.0.0.2:444"),
				Dispatchers: []string{"10.9.0.1:4201", "dispatcher.example:4201"},
			},
		},
		gate: planAccess{
			list: access.List{Allow: addressSet("10.0.0.0/8,::1"), Deny: addressSet("all"), DenyByDefault: true}, exempt: addrs("10.0.0.1", "10.0.0.2"),
		},
		api: api.Config{
			Listen: []netip.AddrPort{netip.MustParseAddrPort("[::]:8001")}, APIKey: "key-of-dispatchers", ClientKey: "key-of-clients",
			Node: node, PingInterval: 31 * time.Second, Compression: true,
		},
		cluster:    planCluster{directory: directory.Config{Node: node}},
		statistics: statistics.Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:8033")}},
	}
}

func TestPlan(t *testing.T) {
	listen := func(texts ...string) []netip.AddrPort {
		list := make([]netip.AddrPort, 0, len(texts))
		for _, text := range texts {
			list = append(list, netip.MustParseAddrPort(text))
		}
		return list
	}
	for _, tt := range []struct {
		name   string
		node   string // "": 10.0.0.2; "none": this host is no node
		change func(*settingsdb.Settings)
		want   func(*plan)
	}{
		{"every key", "", func(*settingsdb.Settings) {}, func(*plan) {}},
		{"disabled", "", func(s *settingsdb.Settings) { s.IsEnabled = false }, func(p *plan) { p.gateway.Enabled = false }},
		{"no compression", "", func(s *settingsdb.Settings) { s.Compression = false }, func(p *plan) { p.api.Compression = false }},
		{
			"public_addr is told to clients and refused as target", "",
			func(s *settingsdb.Settings) { s.PublicAddr = "vdi.example.com" },
			func(p *plan) {
				p.gateway.PublicAddr = "vdi.example.com"
				p.gateway.Targets.Refused = []string{"10.0.0.1", "10.0.0.2", "vdi.example.com", "10.9.0.1", "dispatcher.example"}
			},
		},
		{
			"virtual_addr is listened on before it arrives, and the service moves behind the balancer", "",
			func(s *settingsdb.Settings) { s.VirtualAddr = "10.0.0.100" },
			func(p *plan) { behind(p, "10.0.0.100", "10.0.0.100") },
		},
		{
			"public_addr goes before virtual_addr", "",
			func(s *settingsdb.Settings) { s.VirtualAddr, s.PublicAddr = "::ffff:10.0.0.100", "203.0.113.1" },
			func(p *plan) {
				behind(p, "10.0.0.100", "::ffff:10.0.0.100", "203.0.113.1")
				p.gateway.PublicAddr = "203.0.113.1"
			},
		},
		{
			"one node behind a virtual address has no peers", "",
			func(s *settingsdb.Settings) { s.VirtualAddr, s.InternalAddrs = "10.0.0.100", []string{"10.0.0.2"} },
			func(p *plan) {
				cluster := p.cluster
				behind(p, "10.0.0.100")
				p.cluster, p.balancer.Nodes, p.gateway.Nodes = cluster, addrs("10.0.0.2"), addrs("10.0.0.2")
				p.vrrp.Priority, p.gate.exempt = 254, addrs("10.0.0.2")
				p.gateway.Trusted, p.api.Trusted = p.gateway.Trusted[1:], p.api.Trusted[1:]
				p.gateway.Targets.Refused = []string{"10.0.0.2", "10.0.0.100", "10.9.0.1", "dispatcher.example"}
			},
		},
		{
			"without dispatchers the virtual address has no service port", "",
			func(s *settingsdb.Settings) { s.VirtualAddr, s.DispAddrs = "10.0.0.100", nil },
			func(p *plan) {
				behind(p, "10.0.0.100")
				p.gateway.Service.Dispatchers, p.balancer.Fronts = nil, p.balancer.Fronts[:1]
				p.gateway.Targets.Refused = []string{"10.0.0.1", "10.0.0.2", "10.0.0.100"}
			},
		},
		{
			"disabled, the virtual address is down and the nodes still talk", "",
			func(s *settingsdb.Settings) { s.VirtualAddr, s.IsEnabled = "10.0.0.100", false },
			func(p *plan) {
				behind(p, "10.0.0.100", "10.0.0.100")
				p.gateway.Enabled, p.balancer, p.vrrp = false, balancer.Config{}, vrrp.Config{}
			},
		},
		{
			"the virtual address as the document wants it", "",
			func(s *settingsdb.Settings) {
				s.VirtualAddr, s.VirtualPrefixLen, s.Interface = "10.0.0.100", 24, "eth1"
				s.Nodes = map[string]settingsdb.NodeSettings{"10.0.0.2": {Interface: "ens4", Priority: 7}}
				s.VRRP = settingsdb.VRRP{
					Version: 2, RouterID: 51, AdvertMS: 2000, Preempt: true, PreemptDelayS: 9, Mode: "unicast", Checksum: "rfc9568",
				}
			},
			func(p *plan) {
				behind(p, "10.0.0.100", "10.0.0.100")
				p.vrrp = vrrp.Config{
					Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/24")}, Interface: "ens4", Node: p.api.Node,
					Peers: addrs("10.0.0.1"), Version: 2, VRID: 51, Priority: 7, Interval: 2 * time.Second,
					Preempt: true, PreemptDelay: 9 * time.Second, Checksum: vrrp.ChecksumRFC,
				}
			},
		},
		{
			"on one loopback all nodes have the virtual address", "",
			func(s *settingsdb.Settings) { s.VirtualAddr = "127.0.0.100" },
			func(p *plan) {
				behind(p, "127.0.0.100", "127.0.0.100")
				p.vrrp = vrrp.Config{}
			},
		},
		{
			"listen_ip alone is the only address of the API", "",
			func(s *settingsdb.Settings) { s.ListenIP = "10.5.5.5" },
			func(p *plan) { p.api.Listen = listen("10.5.5.5:8001") },
		},
		{
			"listen_ip 0.0.0.0", "",
			func(s *settingsdb.Settings) { s.ListenIP = "0.0.0.0" },
			func(p *plan) { p.api.Listen = listen("0.0.0.0:8001") },
		},
		{
			"listen_ip of the node goes before the common one", "",
			func(s *settingsdb.Settings) {
				s.ListenIP = "10.5.5.5"
				s.Nodes = map[string]settingsdb.NodeSettings{"10.0.0.1": {ListenIP: "10.6.6.6"}, "10.0.0.2": {ListenIP: "10.7.7.7"}}
			},
			func(p *plan) { p.api.Listen = listen("10.7.7.7:8001") },
		},
		{
			"listen_ip of another node does not count", "",
			func(s *settingsdb.Settings) {
				s.Nodes = map[string]settingsdb.NodeSettings{"10.0.0.1": {ListenIP: "10.6.6.6"}}
			}, func(*plan) {},
		},
		{
			"no dispatchers", "",
			func(s *settingsdb.Settings) { s.DispAddrs = nil },
			func(p *plan) {
				p.gateway.Service.Dispatchers = nil
				p.gateway.Targets.Refused = []string{"10.0.0.1", "10.0.0.2"}
			},
		},
		{
			"a dispatcher with IPv6", "",
			func(s *settingsdb.Settings) { s.DispAddrs = []string{"fd00::5"} },
			func(p *plan) {
				p.gateway.Service.Dispatchers = []string{"[fd00::5]:4201"}
				p.gateway.Targets.Refused = []string{"10.0.0.1", "10.0.0.2", "fd00::5"}
			},
		},
		{
			"0 is never and no limit", "",
			func(s *settingsdb.Settings) {
				s.Timeouts, s.Limits, s.Console.PingS = settingsdb.Timeouts{}, settingsdb.Limits{}, 0
			},
			func(p *plan) {
				p.gateway.Timeouts, p.gateway.Limits, p.api.PingInterval = gateway.Timeouts{}, gateway.Limits{}, 0
			},
		},
		{
			"no ticket required", "",
			func(s *settingsdb.Settings) { s.Targets.RequireTicket = false },
			func(p *plan) { p.gateway.Targets.RequireTicket = false },
		},
		{
			"the greatest ports", "",
			func(s *settingsdb.Settings) { s.APIPort, s.PortRangeStart, s.PortRangeStop = 65535, 65533, 65534 },
			func(p *plan) {
				p.api.Listen = listen("[::]:65535")
				p.gateway.PortStart, p.gateway.PortStop = 65533, 65534
			},
		},
		{
			"a host that is no node serves the API alone", "none",
			func(*settingsdb.Settings) {},
			func(p *plan) {
				p.gateway.Enabled, p.gateway.Node, p.gateway.Listen, p.gateway.PublicAddr = false, netip.Addr{}, nil, ""
				p.gateway.Service, p.api.Node = gateway.Service{}, netip.Addr{}
				p.cluster, p.statistics = planCluster{}, statistics.Config{}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, want, node := planSettings(), planned(), netip.MustParseAddr("10.0.0.2")
			if tt.node == "none" {
				node = netip.Addr{}
			}
			tt.change(&s)
			tt.want(&want)
			want.certificate = planCertificate(s) // has a table of its own
			planConsole(&want.api, s, node)       // likewise
			want.kernel = planKernel(s, node)     // likewise
			same := cmp.Options{
				cmpopts.EquateEmpty(),
				cmp.AllowUnexported(plan{}, planCluster{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmp.Comparer(func(a, b planAccess) bool { return reflect.DeepEqual(a, b) }),
				cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			}
			if diff := cmp.Diff(want, newPlan(s, node), same); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}
