package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	startsPerRound = 4
	readyPoll      = 500 * time.Microsecond
)

// starts measures the time from exec to the first 200 of /readyz, which
// the product gives when bytes went through a tunnel and came back.
func (b *apiBench) starts(ctx context.Context) error {
	network, err := lab.Make()
	if err != nil {
		return err
	}
	defer network.Close()
	host, err := network.AddHost("gate", "10.99.0.1/24")
	if err != nil {
		return err
	}
	cfg := node.Config{Binary: b.binary, DB: filepath.Join(b.dir, "starts.db")}
	if err := node.Prepare(host, cfg); err != nil {
		return err
	}
	b.sheet.Progress("start to readiness, %d times a round, beside a bare server", startsPerRound)
	return figure.Rounds(ctx, func(round, of int) error {
		b.sheet.Progress("round %d of %d", round+1, of)
		var ours, theirs []float64
		for i := range startsPerRound {
			err := figure.Turns(round+i,
				func() error {
					return timed(ctx, &ours, func() (ender, error) { return node.Launch(host, cfg) }, host, node.APIPort)
				},
				func() error {
					return timed(ctx, &theirs, func() (ender, error) { return bareOn(host) }, host, limitPort)
				})
			if err != nil {
				return err
			}
		}
		b.sheet.Add(starts, figure.Median(ours), figure.Median(theirs))
		return nil
	})
}

// ender is a program that can be asked to end.
type ender interface{ Stop() error }

func bareOn(host *lab.Host) (ender, error) {
	return launchLimit(host, netip.AddrPortFrom(host.Addr(), limitPort), nil)
}

// timed starts a program, adds the milliseconds until it is ready to times, and
// ends it.
func timed(ctx context.Context, times *[]float64, launch func() (ender, error), host *lab.Host, port uint16) error {
	ctx, cancel := context.WithTimeout(ctx, limitTime)
	defer cancel()
	begin := time.Now()
	p, err := launch()
	if err != nil {
		return err
	}
	if err := awaitReady(ctx, host, netip.AddrPortFrom(host.Addr(), port)); err != nil {
		return err
	}
	*times = append(*times, figure.Milliseconds(time.Since(begin)))
	return p.Stop()
}

// awaitReady asks /readyz until it answers 200.
func awaitReady(ctx context.Context, host *lab.Host, addr netip.AddrPort) error {
	c := &http.Client{Transport: &http.Transport{DialContext: host.DialContext, DisableKeepAlives: true}}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err == nil {
			_ = resp.Body.Close() // the status says all
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-tick.C:
		}
	}
}
