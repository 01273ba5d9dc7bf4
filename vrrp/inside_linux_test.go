package vrrp

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// host is one with interfaces eth0, eth1 and so on of the numbers 1, 2 and so on.
type host struct {
	all     []net.Interface
	present []netlink.Addr
}

func hostWith(networks ...string) (h host) {
	for i, list := range networks {
		up := net.FlagUp | net.FlagRunning
		h.all = append(h.all, net.Interface{Index: i + 1, Name: "eth" + string(rune('0'+i)), Flags: up})
		for _, text := range strings.Fields(list) {
			p := netip.MustParsePrefix(text)
			h.present = append(h.present, netlink.Addr{IPNet: ipNet(p), LinkIndex: i + 1})
		}
	}
	return h
}

func TestInterfaceInside(t *testing.T) {
	const a = "10.8.0.10"
	own := link{port: port{name: "eth0", index: 1}}
	was := port{name: "eth1", index: 2, network: true}
	for _, tt := range []struct {
		name     string
		networks []string
		before   port
		want     string
		lacks    string
	}{
		{"the one with its network", []string{"10.0.0.1/24", "10.8.0.1/24"}, port{}, "eth1", ""},
		{"the smallest network", []string{"10.0.0.1/8", "10.8.0.1/16", "10.8.0.1/24"}, port{}, "eth2", ""},
		{"the same network twice", []string{"10.0.0.1/24", "10.8.0.1/24", "10.8.0.2/24"}, port{}, "eth1", ""},
		{"not by the address itself", []string{"10.0.0.1/24", "10.8.0.10/24"}, port{}, "eth0", ""},
		{"nor by another that moves", []string{"10.0.0.1/24", "10.8.0.100/24"}, port{}, "eth0", ""},
		{"else the router's", []string{"10.0.0.1/24", "10.7.0.1/24"}, port{}, "eth0", ""},
		{"the router's has its network", []string{"10.8.0.1/16", "10.7.0.1/24"}, port{}, "eth0", ""},
		{"a network that is elsewhere now", []string{"10.8.0.1/24", "10.7.0.1/24"}, was, "eth0", ""},
		{"a network that has gone", []string{"10.0.0.1/24", ""}, was, "eth1", "eth1 has no network any more that contains 10.8.0.10"},
		{"an interface that has gone", []string{"10.0.0.1/24"}, was, "eth1", "no interface eth1"},
		{"it was the router's", []string{"10.0.0.1/24"}, port{name: "eth0", index: 1}, "eth0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{
				Addrs:  []netip.Prefix{netip.MustParsePrefix("10.8.0.100/32")},
				Inside: []Placed{{Prefix: netip.MustParsePrefix(a + "/32")}},
			}
			h := hostWith(tt.networks...)
			got := own.lookIn(c, h.all, h.present, []port{tt.before})
			if got.inside[0].name != tt.want || got.lacks == "" != (tt.lacks == "") || !strings.Contains(got.lacks, tt.lacks) {
				t.Errorf("got %s and %q, want %s and %q", got.inside[0].name, got.lacks, tt.want, tt.lacks)
			}
			again := own.lookIn(c, h.all, h.present, got.inside)
			if !again.same(got) {
				t.Errorf("looked at again: got %+v, want %+v", again, got)
			}
		})
	}
}

func TestNamedInterfaceInside(t *testing.T) {
	h := hostWith("10.0.0.1/24", "10.8.0.1/24", "10.9.0.1/24")
	h.all[1].Flags, h.all[2].Flags = 0, net.FlagUp
	for name, want := range map[string]string{"eth0": "", "eth1": "eth1 is down", "eth2": "eth2 has no link", "eth3": "no interface eth3"} {
		c := Config{Inside: []Placed{{netip.MustParsePrefix("10.8.0.10/32"), name}}}
		got := link{port: port{name: "eth0", index: 1}}.lookIn(c, h.all, nil, nil)
		if got.lacks == "" != (want == "") || !strings.Contains(got.lacks, want) || got.unfit() != got.lacks {
			t.Errorf("%s: got %q, want %q", name, got.lacks, want)
		}
	}
}
