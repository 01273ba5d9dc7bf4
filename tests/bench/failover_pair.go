package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
)

const (
	// settleTime is between the start of a pair and its trial: by then both have said
	// all that they say once.
	settleTime = 1500 * time.Millisecond
	// wholeTime bounds how long a pair may need to have the address and to serve.
	wholeTime = 20 * time.Second
	pairPoll  = 5 * time.Millisecond
)

// pair is two nodes that share a virtual address, in a network with a client. The
// first one has it when a trial begins.
type pair struct {
	network *lab.Network
	dir     string
	client  *lab.Host
	virtual netip.Addr
	key     string // of the API, if it asks for one
	hosts   []*lab.Host
	routers []*peer.Router
	inside  *lab.Network // of the VM; nil: there is one network
	legs    []*lab.Host  // of the hosts in there
	vm      *lab.Host
	// takeover is how long after a power-off the second node had the address.
	takeover time.Duration
	owners   *lab.Owners
	pulse    *pulse
	dead     *lab.Host // nil: both are there
	closers  []io.Closer
}

// newPair starts a pair; the caller closes it.
func (f *failover) newPair(ctx context.Context, r rival, interval time.Duration) (*pair, error) {
	network, err := lab.Make()
	if err != nil {
		return nil, err
	}
	p := &pair{network: network, virtual: netip.MustParseAddr("10.99.0.250")}
	if p.dir, err = os.MkdirTemp(f.dir, r.name); err == nil {
		err = p.begin(ctx, r, interval)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pair) begin(ctx context.Context, r rival, interval time.Duration) (err error) {
	var own []string
	for i := range r.clients {
		own = append(own, fmt.Sprintf("10.99.0.%d/24", 10+i))
	}
	if p.client, err = p.network.AddHost("client", own...); err != nil {
		return err
	}
	for i := range 2 {
		h, err := p.network.AddHost(fmt.Sprintf("node%d", i+1), fmt.Sprintf("10.99.0.%d/24", i+1))
		if err != nil {
			return err
		}
		p.hosts = append(p.hosts, h)
	}
	if p.owners, err = p.network.Owners(p.virtual); err != nil {
		return err
	}
	if r.legs {
		if err := p.addLegs(); err != nil {
			return err
		}
	}
	if err := p.start(ctx, r, interval); err != nil || r.legs {
		return err
	}
	if p.pulse, err = startPulse(p.client, p.hosts, p.virtual); err != nil {
		return err
	}
	return pause(ctx, settleTime+r.warm)
}

// start starts the routers one after the other: the first has the address before the
// second comes.
func (p *pair) start(ctx context.Context, r rival, interval time.Duration) error {
	for i, h := range p.hosts {
		own := filepath.Join(p.dir, h.Name())
		if err := os.Mkdir(own, 0o700); err != nil {
			return err
		}
		router, err := r.start(p, i, interval, own)
		if err != nil {
			return err
		}
		p.routers = append(p.routers, router)
		there := func() bool { return router.Standby() && slices.Equal(p.owners.Now(), p.hosts[:1]) }
		if err := await(ctx, there); err != nil {
			return fmt.Errorf("%s does not take its part: %w: %s", h.Name(), err, router.Output())
		}
	}
	return nil
}

func (p *pair) addrs() (list []netip.Addr) {
	for _, h := range p.hosts {
		list = append(list, h.Addr())
	}
	return list
}

// whole waits until exactly one of the living nodes has the address and serves.
func (p *pair) whole(ctx context.Context) error {
	since := time.Now()
	err := await(ctx, func() bool {
		if len(p.living()) == 1 && p.pulse.answered(since) {
			return true
		}
		if len(p.living()) != 1 {
			since = time.Now()
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("%w: %d nodes have the address, or it does not answer: %w", errWrong, len(p.living()), err)
	}
	return p.owners.Err()
}

// living are the owners that are there.
func (p *pair) living() []*lab.Host {
	return slices.DeleteFunc(slices.Clone(p.owners.Now()), func(h *lab.Host) bool { return h == p.dead })
}

// close ends all of it.
func (p *pair) close() (err error) {
	for _, r := range p.routers {
		if pids, err := r.Family(); err == nil { // else it is gone
			_ = sendSignal(unix.SIGKILL, pids)
		}
	}
	if p.owners != nil {
		p.owners.Close()
	}
	if p.pulse != nil {
		err = p.pulse.close()
	}
	for _, c := range p.closers {
		_ = c.Close()
	}
	if p.inside != nil {
		p.inside.Close()
	}
	p.network.Close()
	return errors.Join(err, os.RemoveAll(p.dir))
}

// sendSignal sends a signal to processes, children before their parents: one that saw
// its parent end would do something about it.
func sendSignal(s unix.Signal, pids []int) (err error) {
	for _, pid := range slices.Backward(pids) {
		err = errors.Join(err, unix.Kill(pid, s))
	}
	return err
}

// await waits until something is so.
func await(ctx context.Context, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	for !is() {
		if err := pause(ctx, pairPoll); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
