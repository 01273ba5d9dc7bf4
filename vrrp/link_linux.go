package vrrp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	// lookEvery is how often interfaces are looked at without a reason: a source address
	// may have come or gone.
	lookEvery = time.Second
)

// lookAt finds the interface of a router, the address it sends from, and the
// interfaces of the addresses inside.
func lookAt(c Config, before link) link {
	all, err := net.Interfaces()
	if err != nil {
		return link{failed: fmt.Sprintf("the interfaces of this host cannot be listed: %v", err)}
	}
	l := lookOut(c, all)
	if len(c.Inside) == 0 || l.failed != "" {
		return l
	}
	present, err := presentAddresses(c)
	if err != nil {
		return link{failed: fmt.Sprintf("the addresses of this host are not known: %v", err)}
	}
	return l.lookIn(c, all, present, before.inside)
}

// lookOut finds the router's own interface.
func lookOut(c Config, all []net.Interface) link {
	i := slices.IndexFunc(all, func(l net.Interface) bool {
		return l.Name == c.Interface || c.Interface == "" && l.Flags&net.FlagLoopback == 0
	})
	if i < 0 {
		if c.Interface == "" {
			return link{why: "this host has no interface beside the loopback"}
		}
		return link{port: port{name: c.Interface}, why: missing(c.Interface)}
	}
	l := link{port: portOf(all[i]), why: useless(all[i])}
	if l.why == "" {
		l.source, l.why, l.failed = sourceOn(all[i], c)
	}
	return l
}

func portOf(l net.Interface) port {
	return port{name: l.Name, index: l.Index, mac: l.HardwareAddr.String()}
}

func missing(name string) string { return fmt.Sprintf("there is no interface %s on this host", name) }

// useless is why nothing can be sent on an interface; "": it can.
func useless(l net.Interface) string {
	switch {
	case l.Flags&net.FlagUp == 0:
		return fmt.Sprintf("interface %s is down", l.Name)
	case l.Flags&net.FlagRunning == 0:
		return fmt.Sprintf("interface %s has no link: cable, switch or virtual network", l.Name)
	}
	return ""
}

// sourceOn chooses the primary address: the node's own where the interface has it, else
// the first one that is not virtual. Multicast over IPv6 comes from the link-local one.
func sourceOn(l net.Interface, c Config) (found netip.Addr, why, failed string) {
	if len(c.Peers) > 0 {
		return c.Node, "", ""
	}
	addrs, err := l.Addrs()
	if err != nil {
		return found, "", fmt.Sprintf("the addresses of %s cannot be listed: %v", l.Name, err)
	}
	for _, text := range addrs {
		p, err := netip.ParsePrefix(text.String())
		if err != nil {
			continue
		}
		a := p.Addr().Unmap()
		fits := a.Is6() == c.six() && !c.virtual(a) && (a.IsLinkLocalUnicast() == c.six() || a == c.Node && !c.six())
		if fits && (a == c.Node || !found.IsValid()) {
			found = a
		}
	}
	if found.IsValid() {
		return found, "", ""
	}
	if c.six() {
		return found, fmt.Sprintf("interface %s has no link-local IPv6 address to send from", l.Name), ""
	}
	return found, fmt.Sprintf("interface %s has no IPv4 address to send from", l.Name), ""
}

// watchLinks tells when something about the interfaces may have changed, until ctx is
// done.
func watchLinks(ctx context.Context, changed chan<- struct{}) {
	poll := time.NewTicker(lookEvery)
	defer poll.Stop()
	events := subscribe(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			if events == nil {
				events = subscribe(ctx)
			}
		case _, more := <-events:
			if !more {
				events = nil // again with the poll
				continue
			}
		}
		select {
		case changed <- struct{}{}:
		default: // it will look soon
		}
	}
}

// subscribe hears of changes; a nil channel, which is silent, when that is impossible.
func subscribe(ctx context.Context) <-chan netlink.LinkUpdate {
	events := make(chan netlink.LinkUpdate, 16)
	err := netlink.LinkSubscribeWithOptions(events, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: func(error) {}})
	if err != nil {
		return nil
	}
	return events
}
