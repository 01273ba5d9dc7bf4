package rules

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestConfigsThatCannotBe(t *testing.T) {
	good := func() Config {
		return Config{
			Virtual: []netip.Addr{addr("10.9.0.10"), addr("fd09::10")}, Inside: []netip.Addr{addr("10.8.0.10"), addr("fd09::10")},
			FirstPort: 5900, LastPort: 5900, Clients: Everybody(), Mark: 1, Condemned: 2,
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		says   string // "" when it can be
	}{
		{"all there", func(*Config) {}, ""},
		{"nobody may", func(c *Config) { c.Clients = nil }, ""},
		{"two virtual addresses of a family", func(c *Config) { c.Virtual[1] = addr("10.9.0.11") }, ""},
		{"no address", func(c *Config) { c.Virtual = nil }, "no virtual address"},
		{"no inside address", func(c *Config) { c.Inside = c.Inside[:1] }, "virtual address fd09::10 has no inside address"},
		{"two inside addresses", func(c *Config) { c.Inside[1], c.Virtual = addr("10.8.0.11"), c.Virtual[:1] }, "inside address 10.8.0.11 is a second one"},
		{"twice the same", func(c *Config) { c.Virtual[1] = c.Virtual[0] }, "virtual address 10.9.0.10 is there twice"},
		{"IPv4 as IPv6", func(c *Config) { c.Virtual[0] = addr("::ffff:10.9.0.10") }, "cannot be used"},
		{"any address", func(c *Config) { c.Inside[0] = addr("0.0.0.0") }, "cannot be used"},
		{"no ports", func(c *Config) { c.FirstPort = 0 }, "ports 0 to 5900 are no range"},
		{"ports backwards", func(c *Config) { c.LastPort = 5899 }, "ports 5900 to 5899 are no range"},
		{"no mark", func(c *Config) { c.Mark = 0 }, "marks 0x0 and 0x2 must differ"},
		{"equal marks", func(c *Config) { c.Mark = 2 }, "marks 0x2 and 0x2 must differ"},
		{"clients backwards", func(c *Config) { c.Clients = []Range{{addr("10.0.0.2"), addr("10.0.0.1")}} }, "are no range"},
		{"clients of two families", func(c *Config) { c.Clients = []Range{{addr("10.0.0.2"), addr("fd00::")}} }, "are no range"},
		{"clients that overlap", func(c *Config) {
			c.Clients = []Range{{addr("10.0.0.1"), addr("10.0.0.5")}, {addr("10.0.0.5"), addr("10.0.0.6")}}
		}, "must be in order"},
		{"long interface", func(c *Config) { c.OutsideInterface = "abcdefghijklmnop" }, "no name of an interface"},
		{"odd interface", func(c *Config) { c.InsideInterface = "a/b" }, "no name of an interface"},
	} {
		c := good()
		tt.change(&c)
		err := c.check()
		if got := fmt.Sprint(err); (err == nil) != (tt.says == "") || err != nil && !strings.Contains(got, tt.says) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestIntervals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ranges []Range
		want   string // of IPv4, ends with a dash before them
	}{
		{"nobody", nil, ""},
		{"everybody", Everybody(), "00000000"},
		{"one address", []Range{{addr("10.0.0.1"), addr("10.0.0.1")}}, "0a000001 -0a000002"},
		{"up to the last", []Range{{addr("255.0.0.0"), addr("255.255.255.255")}}, "ff000000"},
		{"two", []Range{{addr("10.0.0.1"), addr("10.0.0.2")}, {addr("10.0.0.4"), addr("10.0.0.5")}}, "0a000001 -0a000003 0a000004 -0a000006"},
		{"side by side", []Range{{addr("10.0.0.1"), addr("10.0.0.2")}, {addr("10.0.0.3"), addr("10.0.0.5")}}, "0a000001 -0a000006"},
		{"of both families", []Range{{addr("10.0.0.1"), addr("10.0.0.2")}, {addr("::"), addr("::5")}}, "0a000001 -0a000003"},
	} {
		var got []string
		for _, e := range intervals(ip4, tt.ranges) {
			text := hex.EncodeToString(e.Key)
			if e.IntervalEnd {
				text = "-" + text
			}
			got = append(got, text)
		}
		if joined := strings.Join(got, " "); joined != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, joined, tt.want)
		}
	}
}
