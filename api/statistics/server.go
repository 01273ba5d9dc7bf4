package statistics

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/api/certificate"
)

const (
	headerTime = 5 * time.Second
	readTime   = 5 * time.Second
	writeTime  = 15 * time.Second
	idleTime   = 30 * time.Second
	maxHeader  = 8 << 10 // bytes; net/http adds a little
	// stopTime is what requests in flight get to finish in.
	stopTime = time.Second
)

// ErrClosed is what Apply and a second Run return once Run has ended.
var ErrClosed = errors.New("the statistics server has stopped")

// Config is the complete wanted state. The zero value listens nowhere.
type Config struct {
	Listen []netip.AddrPort
	// Freebind binds addresses that are not on this host yet, as the virtual
	// address of a standby.
	Freebind bool
}

// Deps is what a Server needs of others. All of it is required.
type Deps struct {
	// Source is asked once a second and for every scrape; it must not block and
	// is called by several goroutines at once.
	Source func() Snapshot
	// Admit decides about everybody who comes in; it must not block. nil: all.
	Admit func(client netip.Addr) bool
	// TLS is spoken to who speaks it; nil: to nobody.
	TLS     *certificate.Keeper
	Version string
	Log     logrus.FieldLogger
}

// Server serves statistics and counts events.
type Server struct {
	deps    Deps
	handler http.Handler
	events  *events
	history *history
	broken  chan error // capacity 1: a listener that failed by itself

	mu        sync.Mutex
	doors     map[netip.AddrPort]*door // by wanted address
	running   bool
	ended     bool
	accepting sync.WaitGroup // added to under mu
}

// New returns a server that listens nowhere until Apply and serves nobody until
// Run. Events count from now on.
func New(deps Deps) *Server {
	s := &Server{
		deps: deps, events: newEvents(), history: newHistory(time.Now()),
		broken: make(chan error, 1), doors: map[netip.AddrPort]*door{},
	}
	s.handler = s.routes()
	return s
}

// Run samples and serves until ctx is done, gives requests in flight a second,
// and returns when everything has ended. It returns an error when a listener
// fails by itself, and may be called once.
func (s *Server) Run(ctx context.Context) error {
	s.history.add(time.Now(), s.deps.Source()) // a page is never without numbers
	if err := s.begin(); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.end()
			return nil
		case err := <-s.broken:
			s.end()
			return err
		case now := <-tick.C:
			s.history.add(now, s.deps.Source())
		}
	}
}

func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.running {
		return ErrClosed
	}
	s.running = true
	for _, d := range s.doors {
		s.serve(d)
	}
	return nil
}

// serve accepts connections of d. The caller holds mu.
func (s *Server) serve(d *door) {
	s.accepting.Go(func() {
		err := d.serve()
		if errors.Is(err, http.ErrServerClosed) {
			return
		}
		select {
		case s.broken <- err:
		default: // Run knows already
		}
	})
}

func (s *Server) end() {
	s.mu.Lock()
	s.ended = true
	for _, d := range s.doors {
		s.retire(d)
	}
	s.mu.Unlock()
	s.accepting.Wait()
}

// retire closes d at once for those who come, and shortly after for those who
// are being served. The caller holds mu.
func (s *Server) retire(d *door) {
	d.close()
	s.accepting.Go(d.finish)
}
