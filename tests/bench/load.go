package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/bench/figure"
)

// Every sampleEvery-th tunnel of a client is used before it is given back.
const sampleEvery = 100

// sampleTime bounds the use of one tunnel.
const sampleTime = 5 * time.Second

// outcome is what one load on one server was like.
type outcome struct {
	perSecond float64
	slowest   float64 // p99 in milliseconds
}

// load lets clients open tunnels one after the other for a while, each from an
// address of its own.
func (o *openers) load(s server, clients int, last time.Duration) (outcome, error) {
	all := make([]*opener, clients)
	seen := &ledger{ids: map[string]struct{}{}}
	for i := range all {
		from := o.clients.Addrs()[i]
		c, err := dialWire(o.clients, s, from)
		if err != nil {
			return outcome{}, err
		}
		defer c.close()
		all[i] = &opener{opens: o, server: s, from: from, wire: c, seen: seen, body: openBody(o.vm.Addr())}
	}
	var group errgroup.Group
	start := time.Now()
	for _, c := range all {
		group.Go(func() error { return c.run(start.Add(last)) })
	}
	err := group.Wait()
	took := time.Since(start)
	var times []time.Duration
	for _, c := range all {
		times = append(times, c.times...)
	}
	if err != nil || len(times) == 0 {
		return outcome{}, fmt.Errorf("%d tunnels were opened: %w", len(times), err)
	}
	return outcome{float64(len(times)) / took.Seconds(), figure.Milliseconds(figure.Percentile(times, 0.99))}, nil
}

// ledger remembers which connection ids were given.
type ledger struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

// enter notes an id and tells whether it is new.
func (l *ledger) enter(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.ids[id]
	l.ids[id] = struct{}{}
	return !known
}

// opener is one client.
type opener struct {
	opens  *openers
	server server
	from   netip.Addr
	wire   *wire
	seen   *ledger
	body   []byte
	times  []time.Duration
}

// run opens tunnels and gives them back until a time.
func (c *opener) run(until time.Time) error {
	for time.Now().Before(until) {
		begin := time.Now()
		status, answer, err := c.wire.post(openPath, c.body)
		c.times = append(c.times, time.Since(begin))
		if err != nil {
			return err
		}
		var t tunnel
		if err := json.Unmarshal(answer, &t); err != nil || status != 201 {
			return fmt.Errorf("%w: open_connection answered %d %s", errWrong, status, answer)
		}
		if err := c.check(t); err != nil {
			return err
		}
		status, answer, err = c.wire.post(closePath, t.closeBody())
		if err != nil {
			return err
		}
		if status != 200 {
			return fmt.Errorf("%w: close_connection answered %d %s", errWrong, status, answer)
		}
	}
	return nil
}

// check wants every id to be new and uses some of the tunnels.
func (c *opener) check(t tunnel) error {
	if !c.server.real {
		return nil
	}
	if !c.seen.enter(t.ID) {
		return fmt.Errorf("%w: connection id %s was given twice", errWrong, t.ID)
	}
	if len(c.times)%sampleEvery != 1 {
		return nil
	}
	if err := c.use(t); err != nil {
		return fmt.Errorf("%w: tunnel to port %d for %s: %w", errWrong, t.Port, c.from, err)
	}
	return nil
}

// use sends bytes through the tunnel.
func (c *opener) use(t tunnel) error {
	conn, err := c.opens.clients.Dial(c.from, netip.AddrPortFrom(c.server.addr.Addr(), t.Port), sampleTime)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(sampleTime))
	if _, err := io.WriteString(conn, t.ID); err != nil {
		return err
	}
	got := make([]byte, len(t.ID))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != t.ID {
		return fmt.Errorf("got %q back, sent %q", got, t.ID)
	}
	return nil
}
