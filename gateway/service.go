package gateway

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/relay"
)

const (
	// checkEvery and checkTime: a dispatcher is asked this often whether it
	// accepts connections, and has this long to do so.
	checkEvery = 2 * time.Second
	checkTime  = time.Second
	// serviceMax bounds the connections of the service tunnel when the
	// settings set no limit, since anybody may open them.
	serviceMax = 10000
)

// service is the byte-transparent tunnel from clients to the dispatchers. It
// tries those that answered their last check first, each in turn.
type service struct {
	engine  *relay.Engine
	resolve func(context.Context, string) ([]netip.Addr, error)
	log     logrus.FieldLogger
	starved func(error)
	wake    chan struct{} // capacity 1: check now

	mu       sync.Mutex
	cfg      Config
	door     relay.Door
	next     relay.Door // bound by prepare; refuses everybody until commit
	backends []*backend
	turn     int
	stopped  bool
	pairs    map[relay.Pair]struct{} // being set up or relayed
}

// backend is one dispatcher. The service's lock guards ok and to.
type backend struct {
	addr string // host:port
	to   []netip.AddrPort
	ok   bool
}

func newService(engine *relay.Engine, resolve func(context.Context, string) ([]netip.Addr, error), log logrus.FieldLogger) *service {
	return &service{
		engine: engine, resolve: resolve, log: log, starved: starvation(log),
		wake: make(chan struct{}, 1), pairs: map[relay.Pair]struct{}{},
	}
}

// wanted tells whether cfg has a service tunnel at all.
func (c Config) wantsService() bool { return c.Enabled && len(c.Service.Dispatchers) > 0 }

// prepare binds what cfg needs and this service lacks. commit or abandon must
// follow.
func (s *service) prepare(cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errStopped
	}
	if !cfg.wantsService() || s.door != nil && s.cfg.Service.Listen == cfg.Service.Listen {
		return nil
	}
	listen := cfg.Service.Listen
	d, err := s.engine.Listen(listen, relay.DoorOptions{
		Setup: func(fd int) error {
			if err := tune(fd, cfg.Timeouts); err != nil {
				return err
			}
			return setFreebind(fd, listen.Addr(), cfg.Freebind)
		},
		Proxied: s.proxied,
		Knock:   func(_ relay.Visitor, p relay.Pair) *relay.Call { return s.knock(listen, p) },
		Starved: s.starved,
	})
	if err != nil {
		return err
	}
	s.next = d
	return nil
}

// proxied tells whether a peer speaks for others; the header it sends is not for
// the dispatcher.
func (s *service) proxied(peer netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return within(s.cfg.Trusted, plain(peer))
}

// abandon undoes prepare.
func (s *service) abandon() {
	s.mu.Lock()
	next := s.next
	s.next = nil
	s.mu.Unlock()
	if next != nil {
		next.Close()
	}
}

// commit makes cfg the state. Connections stay unless there is no service any
// more.
func (s *service) commit(cfg Config) {
	s.mu.Lock()
	old := s.door
	switch {
	case !cfg.wantsService():
		s.door = nil
		s.endAll()
	case s.next != nil:
		s.door, s.next = s.next, nil
	default:
		_ = s.door.Control(func(fd int) error { return tune(fd, cfg.Timeouts) }) // only fails when closed
		old = nil
	}
	s.backends = keep(s.backends, cfg)
	s.cfg = cfg
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// endAll ends every connection. The caller holds the lock; the relay tells the
// ends later, on its loops.
func (s *service) endAll() {
	for p := range s.pairs {
		p.Kill(ReasonAdmin)
	}
}

// keep makes the backends of cfg; known ones keep their state, new ones count
// as answering until a check has said otherwise.
func keep(was []*backend, cfg Config) []*backend {
	if !cfg.wantsService() {
		return nil
	}
	known := map[string]*backend{}
	for _, b := range was {
		known[b.addr] = b
	}
	var now []*backend
	for _, addr := range cfg.Service.Dispatchers {
		b := known[addr]
		if b == nil {
			b = &backend{addr: addr, ok: true}
			if to, err := netip.ParseAddrPort(addr); err == nil {
				b.to = []netip.AddrPort{to}
			}
		}
		now = append(now, b)
	}
	return now
}

// run checks the dispatchers until ctx is done, then closes the door. The relay
// ends the connections.
func (s *service) run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			s.check(ctx)
		case <-s.wake:
			s.check(ctx)
		}
	}
	s.abandon()
	s.mu.Lock()
	door := s.door
	s.door, s.stopped = nil, true
	s.mu.Unlock()
	if door != nil {
		door.Close()
	}
}

func (s *service) check(ctx context.Context) {
	s.mu.Lock()
	backends := s.backends
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, b := range backends {
		all.Go(func() {
			err := s.checkOne(ctx, b)
			if ctx.Err() == nil {
				s.mark(b, err)
			}
		})
	}
	all.Wait()
}

// checkOne finds out where a dispatcher is and whether it accepts connections.
func (s *service) checkOne(ctx context.Context, b *backend) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	to, err := s.locate(ctx, b.addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	b.to = to
	s.mu.Unlock()
	for _, a := range to {
		var conn *net.TCPConn
		if conn, err = dialTCP(ctx, a, Timeouts{}); err == nil {
			return conn.Close() // the connection was the question
		}
	}
	return err
}

func (s *service) locate(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	if to, err := netip.ParseAddrPort(addr); err == nil {
		return []netip.AddrPort{to}, nil
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := s.resolve(ctx, host)
	var to []netip.AddrPort
	for _, a := range addrs {
		to = append(to, netip.AddrPortFrom(plain(a), uint16(port)))
	}
	return to, err
}

// mark notes whether a dispatcher answers and logs a change.
func (s *service) mark(b *backend, err error) {
	s.mu.Lock()
	changed := b.ok != (err == nil)
	b.ok = err == nil
	s.mu.Unlock()
	log := s.log.WithField("dispatcher", b.addr)
	switch {
	case changed && err != nil:
		log.WithError(err).Warn("dispatcher does not answer")
	case changed:
		log.Info("dispatcher answers again")
	}
}

func (s *service) health() []Dispatcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Dispatcher, 0, len(s.backends))
	for _, b := range s.backends {
		list = append(list, Dispatcher{Addr: b.addr, OK: b.ok})
	}
	return list
}

// knock says where a client of the door on listen may go: to the dispatcher
// whose turn it is, and to the others when it does not answer, those that
// failed their check last. nil when there is no room or nothing to go to.
func (s *service) knock(listen netip.AddrPort, p relay.Pair) *relay.Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.cfg.Limits.Connections
	if most == 0 {
		most = serviceMax
	}
	to := s.order()
	if s.door == nil || s.cfg.Service.Listen != listen || len(s.pairs) >= most || len(to) == 0 {
		return nil
	}
	s.pairs[p] = struct{}{}
	t := s.cfg.Timeouts
	return &relay.Call{
		To:      to,
		Timeout: t.Dial,
		Setup:   func(fd int) error { return tune(fd, t) },
		Missed:  s.missed,
		Options: relay.Options{HalfClose: t.HalfClose, OnEnd: func(relay.Result) { s.left(p) }},
	}
}

func (s *service) order() []netip.AddrPort {
	var good, bad []netip.AddrPort
	for i := range s.backends {
		b := s.backends[(s.turn+i)%len(s.backends)]
		if b.ok {
			good = append(good, b.to...)
		} else {
			bad = append(bad, b.to...)
		}
	}
	s.turn++
	return append(good, bad...)
}

// missed has a dispatcher that could not be reached passed over by others, and
// checked at once.
func (s *service) missed(to netip.AddrPort, err error) {
	s.mu.Lock()
	var down *backend
	for _, b := range s.backends {
		if slices.Contains(b.to, to) && b.ok {
			down = b
		}
	}
	s.mu.Unlock()
	if down != nil {
		go s.mark(down, err) // off the loop: a log may block
	}
}

func (s *service) left(p relay.Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pairs, p)
}
