package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/relay"
)

// starvedEvery bounds how often a lack of descriptors is logged.
const starvedEvery = time.Minute

// ports holds the listening sockets of the range. A port is bound while at
// least one client is allowed on it, and open to those clients alone.
type ports struct {
	engine  *relay.Engine
	kernel  steersman
	knock   knock
	starved func(error)

	log logrus.FieldLogger

	mu     sync.Mutex
	where  bindings
	closed bool
	open   map[uint16]*port
	ways   ways

	// trusted is that of where, for the goroutines that move bytes.
	trusted atomic.Pointer[[]netip.Prefix]
}

// knock decides about a visitor of a port that listens on local. It must not
// block.
type knock func(v relay.Visitor, local netip.AddrPort, p relay.Pair) *relay.Call

// bindings are where and how the ports of the range are bound.
type bindings struct {
	addrs    []netip.Addr
	freebind bool
	timeouts Timeouts // accepted sockets inherit them
	trusted  []netip.Prefix
}

func newPorts(engine *relay.Engine, kernel steersman, knock knock, log logrus.FieldLogger) *ports {
	return &ports{engine: engine, kernel: kernel, knock: knock, starved: starvation(log), log: log, open: map[uint16]*port{}, ways: ways{}}
}

// allow opens a way, which can be gone once reach has returned. Calls are counted: as
// many revokes close it again.
func (p *ports) allow(w way) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	if !w.steered() {
		if err := p.admit(w.port, w.client); err != nil {
			return err
		}
	}
	if !p.ways.add(w) {
		return nil
	}
	return p.kernel.Allow(w.grant())
}

// again has the kernel know that the client of an open way asked for it once more: w may
// have another limit.
func (p *ports) again(was, w way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.ways.remove(was)
	p.ways.add(w)
	_ = p.kernel.Allow(w.grant()) // as good a grant as the former one
}

// admit counts the client among those of the port, which is bound when it was not.
func (p *ports) admit(number uint16, client netip.Addr) error {
	o := p.open[number]
	if o == nil {
		o = newPort(number, client)
		if err := p.bind(o); err != nil {
			return err
		}
		p.open[number] = o
		return nil
	}
	o.add(client)
	return nil
}

// reach returns when the clients allowed so far get through the filters of the
// port. Setting those takes time, so no lock of others should be held.
func (p *ports) reach(number uint16) error {
	if err := p.kernel.Settle(); err != nil {
		return err
	}
	p.mu.Lock()
	o := p.open[number]
	p.mu.Unlock()
	if o == nil { // nobody comes by a socket
		return nil
	}
	return p.settle(o)
}

// revoke undoes one allow of each way. Connections already accepted are not
// touched; those the kernel carries end with the last way that leads to their VM. When it
// returns nobody gets in by a way that is gone.
func (p *ports) revoke(ways ...way) {
	for o := range p.remove(ways) {
		p.mustSettle(o)
	}
	if !slices.ContainsFunc(ways, way.steered) {
		return
	}
	if err := p.kernel.Settle(); err != nil { // whoever comes until it is tried again is reset
		p.log.WithError(err).Warn("the kernel still leads clients whose tunnels have ended")
	}
}

// mustSettle is settle where nobody waits. With its former filter a port is
// still shut to strangers: they reach accept, which refuses them there.
func (p *ports) mustSettle(o *port) {
	if err := p.settle(o); err != nil {
		p.log.WithError(err).WithField("port", o.number).Warn("a range port keeps its former filter")
	}
}

// remove counts the ways' clients out, closes the ports that have none left
// and returns those whose filter lets too many pass now.
func (p *ports) remove(ways []way) map[*port]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	wide := map[*port]struct{}{}
	for _, w := range ways {
		p.forbid(w)
		o := p.open[w.port]
		if w.steered() || o == nil || !o.remove(w.client) {
			continue
		}
		wide[o] = struct{}{}
		if len(o.clients) == 0 {
			delete(p.open, w.port)
			delete(wide, o)
			o.close()
		}
	}
	return wide
}

// leads tells whether a slot has a way.
func (p *ports) leads(s slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ways[s]) > 0
}

// forbid takes a way from the kernel, or gives it the one that counts now.
func (p *ports) forbid(w way) {
	switch now, changed := p.ways.remove(w); {
	case !changed || p.closed:
	case now == way{}:
		p.kernel.Forbid(kernel.Revoked, w.grant())
	default:
		_ = p.kernel.Allow(now.grant()) // it was allowed before
	}
}

// settle returns when the filters of o are as its clients were at the call, or
// newer. Many callers share one change of the filter: it takes a system call
// that must not be made under the lock by one after the other.
func (p *ports) settle(o *port) error {
	p.mu.Lock()
	wanted := o.changes
	p.mu.Unlock()
	o.filtering.Lock()
	defer o.filtering.Unlock()
	if o.settled >= wanted {
		return nil
	}
	p.mu.Lock()
	wanted, clients, trusted, doors := o.changes, o.allowed(), p.where.trusted, maps.Clone(o.doors)
	p.mu.Unlock()
	for addr, d := range doors {
		// One that was closed meanwhile needs no filter.
		err := d.Control(func(fd int) error { return attachFilter(fd, addr, clients, trusted) })
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("filter of port %d on %s: %w", o.number, addr, err)
		}
	}
	o.settled = wanted
	return nil
}

// rebind moves every open port: what is new is bound before what is gone is
// closed. An error leaves everything as it was.
func (p *ports) rebind(where bindings) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.where
	p.where = where
	var moved []*port
	for _, o := range p.open {
		if err := p.bind(o); err != nil {
			for _, m := range moved {
				m.closeBut(was.addrs)
			}
			p.where = was
			return err
		}
		moved = append(moved, o)
	}
	p.trusted.Store(&where.trusted)
	refilter := !slices.Equal(was.trusted, where.trusted)
	for _, o := range moved {
		o.closeBut(where.addrs)
		o.tune(where.timeouts)
		if refilter {
			o.changes++ // for settleAll
		}
	}
	return nil
}

// proxied tells whether a peer speaks for others.
func (p *ports) proxied(peer netip.Addr) bool {
	trusted := p.trusted.Load()
	return trusted != nil && within(*trusted, plain(peer))
}

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// settleAll returns when the filters of all ports are as they should be.
func (p *ports) settleAll() {
	p.mu.Lock()
	all := slices.Collect(maps.Values(p.open))
	p.mu.Unlock()
	for _, o := range all {
		p.mustSettle(o)
	}
}

// bind adds the doors that o lacks, all or none.
func (p *ports) bind(o *port) error {
	var added []netip.Addr
	for _, a := range p.where.addrs {
		if o.doors[a] != nil {
			continue
		}
		d, err := p.listen(a, o)
		if err != nil {
			for _, b := range added {
				o.doors[b].Close()
				delete(o.doors, b)
			}
			return err
		}
		o.doors[a] = d
		added = append(added, a)
	}
	return nil
}

func (p *ports) listen(a netip.Addr, o *port) (relay.Door, error) {
	allowed, where := o.allowed(), p.where
	return p.engine.Listen(netip.AddrPortFrom(a, o.number), relay.DoorOptions{
		Setup: func(fd int) error {
			if err := attachFilter(fd, a, allowed, where.trusted); err != nil {
				return err
			}
			if err := tune(fd, where.timeouts); err != nil {
				return err
			}
			return setFreebind(fd, a, where.freebind)
		},
		Proxied: p.proxied,
		Knock: func(v relay.Visitor, pair relay.Pair) *relay.Call {
			return p.knock(v, netip.AddrPortFrom(a, o.number), pair)
		},
		Accepted: dropFilter,
		Starved:  p.starved,
	})
}

// close closes every port.
func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for n, o := range p.open {
		delete(p.open, n)
		o.close()
	}
}

// starvation logs, once in a while, that descriptors have run out.
func starvation(log logrus.FieldLogger) func(error) {
	var last atomic.Int64
	return func(err error) {
		now := time.Now().UnixNano()
		if was := last.Load(); now-was < int64(starvedEvery) || !last.CompareAndSwap(was, now) {
			return
		}
		go log.WithError(err). // off the loop: a log may block
					Error("cannot accept connections; raise the descriptor limit (LimitNOFILE=) if it says too many open files")
	}
}
