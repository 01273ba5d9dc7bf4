package main

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vdi-gateway/api"
	"vdi-gateway/settingsdb"
)

func TestPlanConsole(t *testing.T) {
	nodes := []string{"10.0.0.1", "10.0.0.2"}
	for _, tt := range []struct {
		name   string
		node   string // "": 10.0.0.2
		change func(*settingsdb.Settings)
		want   api.Config
	}{
		{"a node alone", "", func(*settingsdb.Settings) {}, api.Config{
			Hosts: nodes, Ports: []uint16{8001}, ConsoleURL: "http://10.0.0.2:8001/console/",
		}},
		{"this host is no node", "none", func(*settingsdb.Settings) {}, api.Config{Hosts: nodes, Ports: []uint16{8001}}},
		{"a cluster", "", func(s *settingsdb.Settings) { s.VirtualAddr = "10.0.0.100" }, api.Config{
			Hosts: append([]string{"10.0.0.100"}, nodes...), Ports: []uint16{8001, 8022}, ConsoleURL: "http://10.0.0.100:8022/console/",
		}},
		{"TLS", "", func(s *settingsdb.Settings) { s.SSL = true }, api.Config{
			Hosts: nodes, Ports: []uint16{8001}, ConsoleURL: "https://10.0.0.2:8001/console/",
		}},
		{"behind a router", "", func(s *settingsdb.Settings) {
			s.PublicAddr, s.VirtualAddr, s.SSL = "VDI.example.com", "10.0.0.100", true
		}, api.Config{
			Hosts: append([]string{"VDI.example.com", "10.0.0.100"}, nodes...), Ports: []uint16{8001, 8022}, ConsoleURL: "https://vdi.example.com:8022/console/",
		}},
		{"IPv6", "", func(s *settingsdb.Settings) { s.VirtualAddr = "2001:DB8:0::100" }, api.Config{
			Hosts: append([]string{"2001:DB8:0::100"}, nodes...), Ports: []uint16{8001, 8022}, ConsoleURL: "http://[2001:db8::100]:8022/console/",
		}},
		{"IPv4 in IPv6's clothes", "", func(s *settingsdb.Settings) { s.VirtualAddr = "::ffff:10.0.0.100" }, api.Config{
			Hosts: append([]string{"::ffff:10.0.0.100"}, nodes...), Ports: []uint16{8001, 8022}, ConsoleURL: "http://10.0.0.100:8022/console/",
		}},
		{"listen_ip is one more address", "", func(s *settingsdb.Settings) { s.ListenIP, s.VirtualAddr = "fe80::5%eth0", "10.0.0.100" }, api.Config{
			Hosts: append([]string{"10.0.0.100"}, append(nodes, "fe80::5", "10.0.0.2")...), Ports: []uint16{8001, 8022}, ConsoleURL: "http://10.0.0.100:8022/console/",
		}},
		{"other origins", "", func(s *settingsdb.Settings) {
			s.Console.AllowedOrigins = []string{"https://Desk.example", "http://[2001:DB8::1]:8080", "https://bücher.example:8443"}
		}, api.Config{
			Hosts: nodes, Ports: []uint16{8001}, ConsoleURL: "http://10.0.0.2:8001/console/",
			Origins: []settingsdb.Origin{
				{Scheme: "https", Host: "desk.example", Port: 443}, {Scheme: "http", Host: "2001:db8::1", Port: 8080}, {Scheme: "https", Host: "xn--bcher-kva.example", Port: 8443},
			},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, node := planSettings(), netip.MustParseAddr("10.0.0.2")
			if tt.node == "none" {
				node = netip.Addr{}
			}
			tt.change(&s)
			all := newPlan(s, node).api
			got := api.Config{Hosts: all.Hosts, Ports: all.Ports, Origins: all.Origins, ConsoleURL: all.ConsoleURL}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
