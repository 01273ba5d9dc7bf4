package main

import (
	"net"
	"net/netip"
	"strconv"

	"vdi-gateway/api"
	"vdi-gateway/settingsdb"
)

// planConsole says where the console's page is, and where pages may come from: every
// address of the API, with every port that it has.
func planConsole(c *api.Config, s settingsdb.Settings, node netip.Addr) {
	c.Ports = []uint16{port(s.APIPort)}
	if s.VirtualAddr != "" {
		c.Ports = append(c.Ports, port(s.BalancerAPIPort))
	}
	for _, host := range append([]string{s.PublicAddr, s.VirtualAddr}, s.InternalAddrs...) {
		if host != "" {
			c.Hosts = append(c.Hosts, host)
		}
	}
	for _, l := range c.Listen {
		if !l.Addr().IsUnspecified() {
			c.Hosts = append(c.Hosts, l.Addr().WithZone("").String())
		}
	}
	for _, text := range s.Console.AllowedOrigins {
		if o, err := settingsdb.ParseOrigin(text); err == nil { // valid settings have no other
			c.Origins = append(c.Origins, o)
		}
	}
	c.ConsoleURL = consoleURL(s, node)
}

// consoleURL is the page as users reach it; "" when nobody knows how. An address in it
// is spelt as everywhere else.
func consoleURL(s settingsdb.Settings, node netip.Addr) string {
	host, at, scheme := settingsdb.CanonicalHost(publicAddr(s, node)), s.APIPort, "http"
	if s.VirtualAddr != "" {
		at = s.BalancerAPIPort
	}
	if s.SSL {
		scheme = "https"
	}
	if host == "" {
		return ""
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(at)) + "/console/"
}
