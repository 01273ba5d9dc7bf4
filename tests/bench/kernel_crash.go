package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/tests/bench/figure"
)

const (
	streams     = 30
	streamEvery = 5 * time.Millisecond
	// streamTime is how long streams run before and after the daemon is killed.
	streamTime = 2 * time.Second
)

// crash kills the daemon while streams run through its host, and others through the router,
// which nothing happens to.
func (k *kernels) crash(ctx context.Context) error {
	ours, err := newCrowd(k.client, k.vm, talkPort, streamEvery)
	if err != nil {
		return err
	}
	defer ours.close()
	direct, err := newCrowd(k.client, k.vm, talkPort+1, streamEvery)
	if err != nil {
		return err
	}
	defer direct.close()
	err = first(ours.grow(streams, k.hidden(), ours.opened(k.api())),
		direct.grow(streams, netip.Addr{}, direct.straight()), pause(ctx, streamTime))
	if err != nil {
		return err
	}
	ours.watch()
	direct.watch()
	k.node.Kill()
	if err := pause(ctx, streamTime); err != nil {
		return err
	}
	values := []float64{0, 0}
	for i, c := range []*crowd{ours, direct} {
		all, lost, err := c.finish(ctx, lostStall)
		if err != nil {
			return err
		}
		if lost > 0 {
			k.sheet.Progress("  %d of %d streams were lost (0: ours, 1: direct): %d", lost, streams, i)
		}
		values[i] = figure.Milliseconds(slices.Max(all))
	}
	k.sheet.Add(figure.Figure{Name: "kernel.kill9_stall", Peer: "direct", Unit: "ms"}, values[0], values[1])
	return nil
}

// hidden is what the VM sees of our host.
func (k *kernels) hidden() netip.Addr {
	a := k.ours.host.Addr().As4()
	return netip.AddrFrom4([4]byte{10, 98, 0, a[3]})
}

// straight is the route of clients to the VM itself.
func (c *crowd) straight() func(int, netip.Addr) (route, error) {
	return func(int, netip.Addr) (route, error) {
		return func(netip.Addr) (netip.AddrPort, error) { return c.vm, nil }, nil
	}
}
