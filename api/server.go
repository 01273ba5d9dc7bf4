package api

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/api/certificate"
	"vdi-gateway/gateway"
)

const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second
	writeTime  = 30 * time.Second
	idleTime   = 60 * time.Second
	maxHeader  = 16 << 10 // bytes; net/http adds a little
	// stopTime is what requests in flight get to finish in when Run ends.
	stopTime = 2 * time.Second
)

// ErrClosed is what Apply and a second Run return once Run has ended.
var ErrClosed = errors.New("the API server has stopped")

// Server is the HTTP server of a node.
type Server struct {
	deps  Deps
	http  *http.Server
	wrong *gateway.Throttle // wrong keys by client address
	// guesses are unknown tokens and tickets, likewise.
	guesses *gateway.Throttle
	state   atomic.Pointer[state]

	stopping context.Context //nolint:containedctx // the life of all streams to other nodes
	stop     context.CancelFunc
	broken   chan error // capacity 1: a listener that failed by itself

	applying sync.Mutex // one Apply at a time

	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener // by wanted address
	running   bool
	ended     bool
	requests  sync.WaitGroup // added to under mu
	accepting sync.WaitGroup // likewise
}

// New returns a server that listens nowhere until Apply and serves nobody until
// Run.
func New(deps Deps) *Server {
	s := &Server{
		deps: deps, wrong: gateway.NewThrottle(wrongKeys, wrongKeys), guesses: gateway.NewThrottle(wrongSecrets, wrongSecrets),
		broken: make(chan error, 1), listeners: map[netip.AddrPort]*listener{},
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.state.Store(newState(Config{}))
	e := s.newEcho()
	s.http = &http.Server{
		Handler:           s.tracked(s.admitted(oddFirst(e, deps.TLS.Secured(s.withInternal(e), s.mayBePlain)))),
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(httpLog{deps.Log}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(certificate.ConnContext(ctx, c), connKey{}, c)
		},
		ConnState: freeWhenHijacked,
	}
	return s
}

func (s *Server) newEcho() *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(httpLog{s.deps.Log})
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.fail
	e.Pre(s.elsewhere)
	e.Use(s.observe, recovered, s.prepare)
	zip := s.zipped()
	for _, op := range s.operations() {
		handle := s.require(op.role, op.handle)
		if op.zip {
			handle = zip(handle)
		}
		for _, path := range op.paths() {
			e.Add(op.method, path, handle)
		}
	}
	s.serveSwagger(e, zip)
	s.serveConsole(e, zip)
	return e
}

// tracked counts requests, so that Run returns after the last of them.
func (s *Server) tracked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer s.requests.Done()
		next.ServeHTTP(w, r)
	})
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.requests.Add(1)
	}
	return !s.ended
}

// Run serves the listeners of Apply until ctx is done; then it ends the streams that
// it passes on to other nodes, gives requests in flight two seconds, and returns when
// everything has ended. WebSockets it has given to the gateway. It returns an error
// when a listener fails by itself, and may be called once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.broken:
	}
	s.end()
	return err
}

func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.running {
		return ErrClosed
	}
	s.running = true
	for _, l := range s.listeners {
		s.serve(l)
	}
	return nil
}

// serve accepts connections of l. The caller holds mu.
func (s *Server) serve(l *listener) {
	s.accepting.Go(func() {
		err := s.http.Serve(l)
		if l.retired.Load() || errors.Is(err, http.ErrServerClosed) {
			return
		}
		select {
		case s.broken <- err:
		default: // Run knows already
		}
	})
}

func (s *Server) end() {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // cuts what is left
	}
	s.mu.Lock()
	s.ended = true
	for _, l := range s.listeners {
		l.retire()
	}
	s.mu.Unlock()
	s.requests.Wait()
	s.accepting.Wait()
}
