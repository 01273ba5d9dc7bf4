package main

import (
	"net/netip"
	"strings"
	"testing"

	"vdi-gateway/settingsdb"
)

func addrs(texts ...string) []netip.Addr {
	list := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func TestOwnNode(t *testing.T) {
	local := addrs("127.0.0.1", "::1", "10.0.0.2", "fd00::2", "192.168.1.9")
	for _, tt := range []struct {
		name     string
		internal []string
		wanted   string
		want     string
		problem  string
	}{
		{"the one that is local", []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, "", "10.0.0.2", ""},
		{"IPv6", []string{"fd00::1", "fd00::2"}, "", "fd00::2", ""},
		{"IPv6 in another spelling", []string{"fd00:0:0::0002"}, "", "fd00::2", ""},
		{"an IPv4-mapped entry", []string{"::ffff:10.0.0.2"}, "", "10.0.0.2", ""},
		{"all of 127.0.0.0/8 is local", []string{"127.1.2.3"}, "", "127.1.2.3", ""},
		{"none local", []string{"10.0.0.1", "10.0.0.3"}, "", "", "no address of internal_addrs (10.0.0.1, 10.0.0.3) is on an interface"},
		{"two local", []string{"10.0.0.2", "192.168.1.9"}, "", "", "--node ADDR"},
		{"two local, told which", []string{"10.0.0.2", "192.168.1.9"}, "192.168.1.9", "192.168.1.9", ""},
		{"three on one loopback, told which", []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}, "127.0.0.2", "127.0.0.2", ""},
		{"told one that is not in the list", []string{"10.0.0.2"}, "10.0.0.9", "", "--node 10.0.0.9 is not in internal_addrs (10.0.0.2)"},
		{"told one that is not local", []string{"10.0.0.1", "10.0.0.2"}, "10.0.0.1", "10.0.0.1", ""},
		{"told a mapped entry", []string{"::ffff:10.0.0.2", "10.0.0.1"}, "10.0.0.2", "10.0.0.2", ""},
		{"no address at all", []string{"gateway"}, "", "", "internal_addrs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wanted, err := parseNode(tt.wanted)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ownNode(settingsdb.Settings{InternalAddrs: tt.internal}, wanted, local)
			if tt.problem != "" {
				if err == nil || got.IsValid() || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("got %s and %v, want an error with %q", got, err, tt.problem)
				}
				return
			}
			if err != nil || got != netip.MustParseAddr(tt.want) {
				t.Errorf("got %s and %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestParseNode(t *testing.T) {
	for text, want := range map[string]netip.Addr{
		"": {}, "10.0.0.1": netip.MustParseAddr("10.0.0.1"), "::ffff:10.0.0.1": netip.MustParseAddr("10.0.0.1"),
	} {
		if got, err := parseNode(text); err != nil || got != want {
			t.Errorf("%q: got %s and %v, want %s", text, got, err, want)
		}
	}
	if _, err := parseNode("gateway"); err == nil || !strings.Contains(err.Error(), "--node") {
		t.Errorf("a name: got %v, want an error that names --node", err)
	}
}

func TestFirstAddr(t *testing.T) {
	for _, tt := range []struct {
		name  string
		local []netip.Addr
		want  string
	}{
		{"nothing", nil, "127.0.0.1"},
		{"loopback alone", addrs("127.0.0.1", "::1"), "127.0.0.1"},
		{"the first that others reach", addrs("127.0.0.1", "10.0.0.2", "192.168.1.1"), "10.0.0.2"},
		{"IPv4 before IPv6", addrs("::1", "2001:db8::1", "10.0.0.2"), "10.0.0.2"},
		{"IPv6 alone", addrs("127.0.0.1", "fe80::1", "2001:db8::1"), "2001:db8::1"},
		{"link-local is no address for others", addrs("169.254.1.1", "fe80::1"), "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := firstAddr(tt.local); got != netip.MustParseAddr(tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
