package directory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	sendTime  = 2 * time.Second        // for one message
	sweepTime = 100 * time.Millisecond // between two looks for what has expired
)

// Config is who this node and its peers are. The zero value is a node alone.
type Config struct {
	Node       netip.Addr   // this node
	Peers      []netip.Addr // all nodes, in their order; whether Node is among them does not matter
	Port       uint16       // of membership, TCP and UDP, on every node
	Key        string       // shared by all nodes
	FormerKeys []string     // accepted, too
}

// Apply makes cfg the state. It binds Port on Node when there are other nodes,
// and has changed nothing when it returns an error. An equal Config changes
// nothing.
func (d *Directory) Apply(cfg Config) error {
	d.applying.Lock()
	defer d.applying.Unlock()
	cfg = cfg.clone()
	others := cfg.others()
	if len(others) > 0 && (!cfg.Node.IsValid() || cfg.Port == 0 || cfg.Key == "") {
		return fmt.Errorf("a node with peers needs an own address, peers_port and cluster_key")
	}
	if err := d.gossip.Apply(cfg); err != nil {
		return err
	}
	d.mu.Lock()
	d.cfg = cfg
	d.state.rename(cfg.Node)
	d.relink(others)
	d.mu.Unlock()
	d.follow()
	poke(d.relinked)
	return nil
}

// relink makes links to the others, and to nobody else; d.mu is held.
func (d *Directory) relink(others []netip.Addr) {
	for peer := range d.links {
		if !slices.Contains(others, peer) {
			delete(d.links, peer)
		}
	}
	for _, peer := range others {
		if d.links[peer] == nil {
			d.links[peer] = newLink(peer)
		}
	}
}

func (c Config) clone() Config {
	c.Peers, c.FormerKeys = slices.Clone(c.Peers), slices.Clone(c.FormerKeys)
	return c
}

func (c Config) others() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(c.Peers), func(a netip.Addr) bool { return a == c.Node })
}

// Run keeps up membership and sends and forgets records until ctx ends; then it
// tells the peers that this node leaves, for half a second at most. It may be
// called once.
func (d *Directory) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() { d.clean(ctx) })
	running.Go(func() { d.tend(ctx) })
	return d.gossip.Run(ctx, d.follow)
}

// follow takes over who is alive from membership.
func (d *Directory) follow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	alive := d.gossip.Alive()
	for peer, l := range d.links {
		status, is := alive[peer]
		if l.enliven(is, d.now()); is {
			l.status = decodeStatus(status)
		}
	}
}

func (d *Directory) clean(ctx context.Context) {
	ticker := time.NewTicker(sweepTime)
	defer ticker.Stop()
	for ctx.Err() == nil {
		d.forget()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// tend runs a sender for every link.
func (d *Directory) tend(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	stops := map[*link]context.CancelFunc{}
	for ctx.Err() == nil {
		links := d.everyLink()
		for l, stop := range stops {
			if !slices.Contains(links, l) {
				stop()
				delete(stops, l)
			}
		}
		for _, l := range links {
			if stops[l] == nil {
				var linkCtx context.Context
				linkCtx, stops[l] = context.WithCancel(ctx)
				running.Go(func() { d.feed(linkCtx, l) })
			}
		}
		select {
		case <-ctx.Done():
		case <-d.relinked:
		}
	}
	for _, stop := range stops {
		stop()
	}
}

func (d *Directory) everyLink() []*link {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var links []*link
	for _, l := range d.links {
		links = append(links, l)
	}
	return links
}

// feed sends a peer what it lacks.
func (d *Directory) feed(ctx context.Context, l *link) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		d.mu.Lock()
		p, wait := l.next(d.state, d.now())
		d.mu.Unlock()
		if p != nil {
			d.exchange(ctx, l, p)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// exchange sends p and lets the link know what became of it.
func (d *Directory) exchange(ctx context.Context, l *link, p *parcel) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	start := d.now()
	a, err := d.send(ctx, l.peer, p.encode())
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		l.failed(d.now())
		d.deps.Log.WithField("node", l.peer).WithError(err).Debug("records were not acknowledged")
		return
	}
	l.trip = d.now().Sub(start)
	l.heard(p, a, d.now())
	if a.outcome == tooNew {
		d.traffic.refusedByPeers++
		d.deps.Log.WithField("node", l.peer).Warn("a node finds this node's records more than a minute in the future: compare the clocks")
	}
}

// poke leaves a token in c, which has room for one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
