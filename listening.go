package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"vdi-gateway/api/freebind"
)

// listening is where a plan listens as long as it holds; ports of the range are
// bound when they are needed.
type listening struct {
	addr netip.AddrPort
	what string
}

// forNodes is what the port is for by which nodes know of each other, by TCP and UDP.
const forNodes = "the other nodes"

func (p plan) listens() (list []listening) {
	add := func(what string, addrs ...netip.AddrPort) {
		for _, a := range addrs {
			list = append(list, listening{a, what})
		}
	}
	add("the API", p.api.Listen...)
	add("statistics", p.statistics.Listen...)
	if p.acme.Enabled {
		add("tls.acme.port", p.acme.Listen)
	}
	if d := p.cluster.directory; len(d.Peers) > 0 {
		add(forNodes, netip.AddrPortFrom(d.Node, d.Port))
	}
	if p.gateway.Enabled && len(p.gateway.Service.Dispatchers) > 0 {
		add("the service tunnel", p.gateway.Service.Listen)
	}
	// Several nodes on one loopback share the virtual address.
	return slices.DeleteFunc(list, func(l listening) bool {
		return l.addr.Addr().IsLoopback() && l.addr.Addr() == p.balancer.Virtual
	})
}

// checkFree tries the addresses of next that were not listened on before. What
// this process holds itself under another name is its own affair.
func checkFree(next, was []listening) error {
	for _, l := range next {
		taken := func(o listening) bool { return o.addr.Port() == l.addr.Port() }
		if slices.ContainsFunc(was, taken) || l.addr.Port() == 0 {
			continue
		}
		if err := tryListen(l.addr); err != nil {
			return fmt.Errorf("port %d for %s: %w", l.addr.Port(), l.what, err)
		}
	}
	return nil
}

// tryListen tells whether an address is taken; that it is not on this host yet is
// no fault.
func tryListen(addr netip.AddrPort) error {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EACCES):
		return freebind.Explained(err)
	}
	return nil
}
