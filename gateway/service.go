package gateway

import (
	"context"
	"net"
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
	engine *relay.Engine
	log    logrus.FieldLogger
	wake   chan struct{}  // capacity 1: check now
	wg     sync.WaitGroup // accept loop and connections being set up

	mu       sync.Mutex
	cfg      Config
	ctx      context.Context //nolint:containedctx // the service's life, for dials
	stop     context.CancelFunc
	listener *net.TCPListener
	next     *net.TCPListener // bound by prepare, not yet serving
	backends []*backend
	turn     int
	pairs    map[*relay.Pair]struct{}
	open     int // connections, being set up or relayed
}

// backend is one dispatcher. The service's lock guards ok.
type backend struct {
	addr string
	ok   bool
}

func newService(engine *relay.Engine, log logrus.FieldLogger) *service {
	ctx, stop := context.WithCancel(context.Background())
	return &service{engine: engine, log: log, wake: make(chan struct{}, 1), ctx: ctx, stop: stop, pairs: map[*relay.Pair]struct{}{}}
}

// wanted tells whether cfg has a service tunnel at all.
func (c Config) wantsService() bool { return c.Enabled && len(c.Service.Dispatchers) > 0 }

// prepare binds what cfg needs and this service lacks. commit or abandon must
// follow.
func (s *service) prepare(cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errStopped
	}
	if !cfg.wantsService() || s.listener != nil && s.cfg.Service.Listen == cfg.Service.Listen {
		return nil
	}
	l, err := listen(cfg.Service.Listen, cfg.Freebind, nil)
	if err != nil {
		return err
	}
	s.next = l
	return nil
}

// abandon undoes prepare.
func (s *service) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		_ = s.next.Close()
		s.next = nil
	}
}

// commit makes cfg the state. Connections stay unless there is no service any
// more.
func (s *service) commit(cfg Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.listener
	switch {
	case !cfg.wantsService():
		s.listener = nil
		s.endAll()
	case s.next != nil:
		s.listener, s.next = s.next, nil
		l := s.listener
		s.wg.Go(func() { acceptLoop(l, s.log, s.accepted) })
	default:
		old = nil
	}
	if old != nil {
		_ = old.Close()
	}
	s.backends = keep(s.backends, cfg)
	s.cfg = cfg
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// endAll ends every connection. The caller holds the lock; the relay tells the
// ends on goroutines of its own.
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
		}
		now = append(now, b)
	}
	return now
}

// run checks the dispatchers until ctx is done, then closes the listener and
// waits for connections being set up. The relay ends the others.
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
	s.stop()
	s.abandon()
	s.mu.Lock()
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *service) check(ctx context.Context) {
	s.mu.Lock()
	backends := s.backends
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, b := range backends {
		all.Go(func() {
			d := net.Dialer{Timeout: checkTime}
			conn, err := d.DialContext(ctx, "tcp", b.addr)
			if err == nil {
				_ = conn.Close() // the connection was the question
			}
			if ctx.Err() == nil {
				s.mark(b, err)
			}
		})
	}
	all.Wait()
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

// order lists the dispatchers to try: the next in turn first, and those that
// failed their check only after all others.
func (s *service) order() []*backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	var good, bad []*backend
	for i := range s.backends {
		b := s.backends[(s.turn+i)%len(s.backends)]
		if b.ok {
			good = append(good, b)
		} else {
			bad = append(bad, b)
		}
	}
	s.turn++
	return append(good, bad...)
}

func (s *service) accepted(client *net.TCPConn) {
	s.mu.Lock()
	most := s.cfg.Limits.Connections
	if most == 0 {
		most = serviceMax
	}
	full := s.open >= most
	if !full {
		s.open++
	}
	s.mu.Unlock()
	if full {
		relay.Reset(client)
		return
	}
	s.wg.Go(func() { s.connect(client) })
}

func (s *service) connect(client *net.TCPConn) {
	s.mu.Lock()
	cfg, ctx := s.cfg, s.ctx
	s.mu.Unlock()
	for _, b := range s.order() {
		vm, err := dialAddr(ctx, b.addr, cfg.Timeouts)
		if err != nil {
			if ctx.Err() == nil {
				s.mark(b, err)
			}
			continue
		}
		_ = tune(client, cfg.Timeouts) // a client that has left shows in the relay
		s.join(client, vm, cfg.Timeouts)
		return
	}
	relay.Reset(client)
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
}

func (s *service) join(client, vm *net.TCPConn, t Timeouts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := make(chan struct{})
	var pair *relay.Pair
	pair = s.engine.Join(client, vm, relay.Options{HalfClose: t.HalfClose, OnEnd: func(relay.Result) {
		<-ready
		s.left(pair)
	}})
	s.pairs[pair] = struct{}{}
	close(ready)
	if s.listener == nil { // switched off while the dispatcher was dialled
		pair.Kill(ReasonAdmin)
	}
}

func (s *service) left(pair *relay.Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pairs, pair)
	s.open--
}
