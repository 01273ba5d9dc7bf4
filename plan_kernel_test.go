package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/settingsdb"
)

func TestPlanOfTheKernel(t *testing.T) {
	addr := netip.MustParseAddr
	on := func(change func(*kernel.Config)) kernel.Config {
		c := kernel.Config{
			Enabled: true, Dial: 3 * time.Second, HalfClose: 4 * time.Second,
			Rules: rules.Config{
				Virtual: []netip.Addr{addr("10.0.0.9")}, Inside: []netip.Addr{addr("10.0.0.9")}, FirstPort: 5900, LastPort: 5999,
				Clients: rules.Everybody(), Mark: 0x76646901, Condemned: 0x766469ff,
			},
		}
		change(&c)
		return c
	}
	for name, tt := range map[string]struct {
		change func(*settingsdb.Settings)
		node   string
		want   kernel.Config
	}{
		"the virtual address for both": {func(*settingsdb.Settings) {}, "10.0.0.1", on(func(*kernel.Config) {})},
		"an address of its own for VMs": {
			func(s *settingsdb.Settings) { s.InsideAddr = "10.8.0.9" }, "10.0.0.1",
			on(func(c *kernel.Config) { c.Rules.Inside = []netip.Addr{addr("10.8.0.9")} }),
		},
		"a node alone": {
			func(s *settingsdb.Settings) { s.VirtualAddr = "" }, "10.0.0.1",
			on(func(c *kernel.Config) {
				c.Resident, c.Rules.Virtual, c.Rules.Inside = true, []netip.Addr{addr("10.0.0.1")}, nil
			}),
		},
		"the access list": {
			func(s *settingsdb.Settings) { s.Access.Policy, s.Access.AllowFrom = "deny", "10.1.0.0/16" }, "10.0.0.1",
			on(func(c *kernel.Config) {
				c.Rules.Clients = []rules.Range{{First: addr("10.1.0.0"), Last: addr("10.1.255.255")}}
			}),
		},
		"sessions that may idle for a while": {
			func(s *settingsdb.Settings) { s.Timeouts.IdleS = 2 }, "10.0.0.1",
			on(func(c *kernel.Config) { c.Poll = 500 * time.Millisecond }),
		},
		"sessions that may idle for long": {
			func(s *settingsdb.Settings) { s.Timeouts.IdleS = 3600 }, "10.0.0.1",
			on(func(c *kernel.Config) { c.Poll = 5 * time.Second }),
		},
		"the relay":           {func(s *settingsdb.Settings) { s.Forwarding = "proxy" }, "10.0.0.1", kernel.Config{}},
		"nobody is served":    {func(s *settingsdb.Settings) { s.IsEnabled = false }, "10.0.0.1", kernel.Config{}},
		"a host, but no node": {func(s *settingsdb.Settings) {}, "", kernel.Config{}},
		"the relay, alone":    {func(s *settingsdb.Settings) { s.Forwarding, s.VirtualAddr = "proxy", "" }, "10.0.0.1", kernel.Config{Resident: true}},
	} {
		s := settingsdb.Default()
		s.IsEnabled, s.Forwarding, s.VirtualAddr, s.PortRangeStart, s.PortRangeStop = true, "kernel", "10.0.0.9", 5900, 5999
		s.Timeouts.DialMS, s.Timeouts.HalfCloseS = 3000, 4
		tt.change(&s)
		node, _ := netip.ParseAddr(tt.node)
		if diff := cmp.Diff(tt.want, planKernel(s, node), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
