package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// insideAddr is what VMs see of the gateway that forwards by the kernel.
const insideAddr = "10.98.0.250"

// victim is a contender whose node dies.
type victim struct {
	rival
	interval time.Duration
	window   time.Duration // until everybody is asked to be quiet
	sees     netip.Addr    // what the VM has to see; invalid: any
	routes   func(*pair, *crowd) func(int, netip.Addr) (route, error)
}

func (s *survive) victims() []victim {
	const short, long = 3 * time.Second, 7 * time.Second
	inside := netip.MustParseAddr(insideAddr)
	return []victim{
		{s.talking("kernel", "kernel"), usualInterval, short, inside, opened},
		{s.talking("kernel_50", "kernel"), usualInterval / 2, short, inside, opened},
		{s.talking("proxy_mode", "proxy"), usualInterval, short, netip.Addr{}, opened},
		{s.original(), time.Second, long, netip.Addr{}, ported},
	}
}

// talking is the product with a VM in a network of its own.
func (s *survive) talking(name, forwarding string) rival {
	more := node.Settings{
		"forwarding": forwarding, "balancer_api_port": frontAPI,
		"targets": map[string]any{
			"allow": []map[string]any{{"cidr": "10.98.0.0/24"}}, "ports": []string{"1-65535"}, "require_ticket": false,
		},
	}
	if forwarding == "kernel" {
		more["inside_addr"] = insideAddr
	}
	return rival{name: name, clients: talkClients, start: s.oursWith(more), legs: true}
}

// original is HAProxy and Keepalived as the original configures them. In place of its
// gateways, whose ports are opened by an API, another HAProxy leads every port to the VM.
func (s *survive) original() rival {
	return rival{name: "haproxy_keepalived", clients: talkClients, legs: true, start: func(p *pair, place int, _ time.Duration, dir string) (*peer.Router, error) {
		host := p.hosts[place]
		gateway, err := peer.OriginalGateways(host, netip.AddrPortFrom(p.vm.Addr(), talkPort), dir)
		if err != nil {
			return nil, err
		}
		relay, err := peer.OriginalHAProxy(host, p.virtual, p.addrs(), dir)
		if err != nil {
			return nil, err
		}
		router, err := peer.OriginalKeepalived(host, p.virtual, dir)
		if err != nil {
			return nil, err
		}
		return router.With(relay).With(gateway), nil
	}}
}

// opened gives every session a tunnel.
func opened(p *pair, c *crowd) func(int, netip.Addr) (route, error) {
	return c.opened(server{netip.AddrPortFrom(p.virtual, frontAPI), p.key, true})
}

// ported gives every session of a client another port.
func ported(p *pair, _ *crowd) func(int, netip.Addr) (route, error) {
	return func(int, netip.Addr) (route, error) {
		port := uint16(peer.OriginalFirst)
		return func(netip.Addr) (netip.AddrPort, error) {
			to := netip.AddrPortFrom(p.virtual, port)
			port++
			return to, nil
		}, nil
	}
}

// addLegs plugs the nodes into a second network, in which there is a VM.
func (p *pair) addLegs() (err error) {
	if p.inside, err = lab.Make(); err != nil {
		return err
	}
	for i, h := range p.hosts {
		leg, err := p.inside.JoinHost(h, fmt.Sprintf("10.98.0.%d/24", i+1))
		if err != nil {
			return err
		}
		p.legs = append(p.legs, leg)
	}
	p.vm, err = p.inside.AddHost("vm", "10.98.0.20/24")
	return err
}

// outlive has sessions talk, the first node lose its power, and tells what became of them.
func (p *pair) outlive(ctx context.Context, v victim, after time.Duration) (all []time.Duration, lost int, err error) {
	c, err := newCrowd(p.client, p.vm, talkPort, talkEvery)
	if err != nil {
		return nil, 0, err
	}
	defer c.close()
	if err := first(c.grow(talks, v.sees, v.routes(p, c)), pause(ctx, talkTime)); err != nil {
		return nil, 0, err
	}
	pids, err := p.routers[0].Family()
	if err != nil {
		return nil, 0, err
	}
	if err := meet(ctx, p.client, after); err != nil {
		return nil, 0, err
	}
	c.watch()
	from := time.Now()
	if err := first(p.powerOff(pids), pause(ctx, v.window)); err != nil {
		return nil, 0, err
	}
	if all, lost, err = c.finish(ctx, lostStall); err != nil {
		return nil, 0, err
	}
	return all, lost, p.taken(from)
}

// powerOff takes both links of the first node away at once, and ends what runs there.
func (p *pair) powerOff(pids []int) error {
	if now := p.owners.Now(); !slices.Equal(now, p.hosts[:1]) {
		return errors.New("the first node had not the address before its power went")
	}
	p.dead = p.hosts[0]
	var links errgroup.Group
	links.Go(p.hosts[0].Cut)
	links.Go(p.legs[0].Cut)
	return first(links.Wait(), sendSignal(unix.SIGKILL, pids))
}

// taken wants the second node to have the address now, and notes when it got it.
func (p *pair) taken(from time.Time) error {
	if now := p.living(); !slices.Equal(now, p.hosts[1:]) {
		return fmt.Errorf("%d living nodes have the address, or the wrong one", len(now))
	}
	for _, span := range p.owners.Spans(from) {
		if slices.Contains(span.Owners, p.hosts[1]) {
			p.takeover = span.From.Sub(from)
			break
		}
	}
	return p.owners.Err()
}
