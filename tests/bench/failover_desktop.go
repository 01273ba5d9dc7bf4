package main

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/bench/figure"
)

const (
	// desktopClients have an address and a tunnel each.
	desktopClients = 200
	// openAtOnce is how many of them open theirs at a time.
	openAtOnce = 12
	// desktopBound is when a viewer is given up that has not seen its desktop again.
	desktopBound = time.Minute
	desktopVM    = "10.99.0.240"
	// spareTime is until the product gives a node its share that has come up.
	spareTime = 11 * time.Second
)

var (
	desktopMedian = figure.Figure{Name: "failover.desktop_median", Peer: "haproxy_keepalived", Unit: "ms"}
	desktopWorst  = figure.Figure{Name: "failover.desktop_worst", Peer: "haproxy_keepalived", Unit: "ms"}
)

// desktops measures how long viewers do not see their desktops when the node dies that
// has the virtual address.
func (f *failover) desktops(ctx context.Context, round int, phase float64) error {
	product := f.ours()
	product.clients, product.warm = desktopClients, spareTime
	var ours, theirs []time.Duration
	err := figure.Turns(round,
		func() (err error) { ours, err = f.desktop(ctx, product, usualInterval, phase); return err },
		func() (err error) { theirs, err = f.desktop(ctx, original(), time.Second, phase); return err })
	if err != nil {
		return err
	}
	for _, s := range []struct {
		figure figure.Figure
		part   float64
	}{{desktopMedian, 0.5}, {desktopWorst, 1}} {
		f.sheet.Add(s.figure, figure.Milliseconds(figure.Percentile(ours, s.part)), figure.Milliseconds(figure.Percentile(theirs, s.part)))
	}
	return nil
}

// desktop is how long each viewer of one contender was without.
func (f *failover) desktop(ctx context.Context, r rival, interval time.Duration, phase float64) (times []time.Duration, err error) {
	err = f.tried(ctx, "desktops, "+r.name, func() error {
		return f.with(ctx, r, interval, func(p *pair) (err error) {
			times, err = p.desktops(ctx, time.Duration(phase*float64(interval)))
			return err
		})
	})
	lost := 0
	for _, t := range times {
		if t >= desktopBound {
			lost++
		}
	}
	f.sheet.Progress("  %s: %d viewers, %d of them without a desktop after %s", r.name, len(times), lost, desktopBound)
	return times, err
}

// desktops has viewers watch, the first node die, and everybody come back who can.
func (p *pair) desktops(ctx context.Context, after time.Duration) ([]time.Duration, error) {
	viewers, err := p.viewers(ctx)
	defer func() {
		for _, v := range viewers {
			v.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	strike, err := death(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := meet(ctx, p.client, after); err != nil {
		return nil, err
	}
	from := time.Now()
	if err := p.untouched(false); err != nil {
		return nil, err
	}
	if err := strike(); err != nil {
		return nil, err
	}
	times := make([]time.Duration, len(viewers))
	var group errgroup.Group
	for i, v := range viewers {
		group.Go(func() (err error) { times[i], err = v.comeBack(ctx, from); return err })
	}
	return times, first(group.Wait(), p.whole(ctx))
}

// viewers open a tunnel each and see their desktop.
func (p *pair) viewers(ctx context.Context) (list []*viewer, err error) {
	vm, err := p.network.AddHost("vm", desktopVM+"/24")
	if err != nil {
		return nil, err
	}
	if err := echoOn(vm); err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	api := server{netip.AddrPortFrom(p.virtual, frontAPI), p.key, true}
	for i, from := range p.client.Addrs() {
		v := &viewer{host: p.client, name: i, from: from, api: api, body: openBody(vm.Addr())}
		list = append(list, v)
		group.Go(func() error {
			if err := v.open(wireTime, wireTime); err != nil {
				return err
			}
			_, err := v.see(wireTime, wireTime)
			return err
		})
	}
	return list, first(group.Wait(), ctx.Err())
}
