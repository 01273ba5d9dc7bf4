package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// Site is where a router of some config would be on this host.
type Site struct {
	Interface string     // "" when there is none
	Source    netip.Addr // of its packets
	MTU       int
	Why       string // it cannot serve there; "": it can
}

// Locate finds the site for a config and changes nothing. The error is that the
// interfaces cannot be looked at.
func Locate(c Config) (Site, error) {
	l := lookAt(c, link{})
	if l.failed != "" {
		return Site{}, errors.New(l.failed)
	}
	s := Site{Interface: l.name, Source: l.source, Why: l.unfit()}
	if at, err := net.InterfaceByName(l.name); err == nil {
		s.MTU = at.MTU
	}
	return s, nil
}

// Listen hears for some time who advertises this virtual router at a site. It sends
// nothing but the membership of the group. A router that is no Active one is silent.
//
// The time counts from when the sockets are open, which takes long where many interfaces
// come and go.
func Listen(ctx context.Context, c Config, at Site, wait time.Duration) ([]Heard, error) {
	family := c.Addrs[0].Addr()
	a, err := openAdverts(at.Interface, family)
	if err != nil {
		return nil, err
	}
	defer a.close()
	group := c
	group.Peers = nil // with unicast too: others may have the id
	if err := a.join(group.targets()[0]); err != nil {
		return nil, fmt.Errorf("join the group of VRRP on %s: %w", at.Interface, err)
	}
	if err := a.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = a.conn.SetReadDeadline(time.Now()) })
	defer stop()
	var packets []Packet
	for {
		p, err := a.receive()
		switch {
		case err == nil:
			packets = append(packets, p)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return c.survey(packets, at.Source), nil
		default:
			return nil, fmt.Errorf("receive on %s: %w", at.Interface, err)
		}
	}
}
