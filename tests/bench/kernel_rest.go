package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/node"
)

const (
	restSessions = restClients * (node.PortStop - node.PortStart + 1)
	// restTime is until the product has looked at its connections.
	restTime = 6 * time.Second
)

// rest measures the memory that sessions need which have nothing to say. The product has
// opened and ended as many before: what its answers took once is not the sessions'.
func (k *kernels) rest(ctx context.Context, c *contender) (map[string]float64, error) {
	if c.run == nil {
		return nil, nil
	}
	if c != k.ours {
		return k.restOf(ctx, c)
	}
	if err := k.opensAll(nil); err != nil {
		return nil, err
	}
	if err := pause(ctx, restTime); err != nil {
		return nil, err
	}
	before, err := c.run.Memory()
	if err != nil {
		return nil, err
	}
	held := &restful{tunnels: map[*wire][]tunnel{}}
	if err := first(k.opensAll(held), pause(ctx, restTime)); err != nil {
		return nil, err
	}
	after, err := c.run.Memory()
	if err != nil {
		return nil, err
	}
	return map[string]float64{"kernel.idle_rss_kb": float64(after-before) / 1024 / restSessions}, first(held.end(), pause(ctx, restTime))
}

func (k *kernels) api() server {
	return server{netip.AddrPortFrom(k.ours.host.Addr(), node.APIPort), k.node.ClientKey(), true}
}

// restOf is the same of a relay.
func (k *kernels) restOf(ctx context.Context, c *contender) (map[string]float64, error) {
	before, err := c.run.Memory()
	if err != nil {
		return nil, err
	}
	var after int64
	var looked error
	job := k.job(c, load.Hold, restSessions, 0)
	_, job.From = k.clients()
	_, err = load.Run(ctx, k.client, job, load.Marks{Begin: func() {
		time.Sleep(idleTime)
		after, looked = c.run.Memory()
	}})
	return map[string]float64{"kernel.idle_rss_kb": float64(after-before) / 1024 / restSessions}, first(err, looked)
}

// restful are tunnels with a connection each that are held.
type restful struct {
	mu      sync.Mutex
	conns   []net.Conn
	tunnels map[*wire][]tunnel // by who opened them
}

func (h *restful) add(w *wire, t tunnel, c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tunnels[w], h.conns = append(h.tunnels[w], t), append(h.conns, c)
}

// end gives them back, all clients theirs at once: the node does not wait long for somebody
// who says nothing.
func (h *restful) end() error {
	var group errgroup.Group
	for w, tunnels := range h.tunnels {
		group.Go(func() (err error) {
			defer w.close()
			for _, t := range tunnels {
				err = first(err, w.giveBack(t))
			}
			return err
		})
	}
	err := group.Wait()
	for _, c := range h.conns {
		_ = c.Close()
	}
	return err
}

// opensAll opens the tunnels of all resting clients. A connection goes through each, and
// both are held; without held, tunnels are given back at once.
func (k *kernels) opensAll(held *restful) error {
	_, resting := k.clients()
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	for i, from := range resting {
		group.Go(func() error {
			w, err := dialWire(k.client, k.api(), from)
			if err != nil {
				return err
			}
			if held == nil {
				defer w.close()
			}
			for range restSessions / restClients {
				if err := k.opens(w, k.target(i), from, held); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// opens opens one, and uses it or gives it back.
func (k *kernels) opens(w *wire, to netip.AddrPort, from netip.Addr, held *restful) error {
	t, err := w.open(openBodyTo(to))
	if err != nil {
		return err
	}
	if held == nil {
		return w.giveBack(t)
	}
	c, err := k.client.Dial(from, netip.AddrPortFrom(k.ours.host.Addr(), t.Port), wireTime)
	if err != nil {
		return err
	}
	held.add(w, t, c)
	return echoed(c)
}

// giveBack gives a tunnel back.
func (w *wire) giveBack(t tunnel) error {
	status, text, err := w.post(closePath, t.closeBody())
	if err == nil && status != 200 {
		err = fmt.Errorf("close_connection answered %d %s", status, text)
	}
	return err
}

// echoed wants a byte back.
func echoed(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(wireTime)) // a closed one says so
	b := []byte{load.Echo}
	_, err := c.Write(b)
	_, rerr := c.Read(b)
	return errors.Join(err, rerr)
}
