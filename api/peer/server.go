package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Handler serves requests of one name. body is the handler's to keep. ctx ends
// when the caller gives up; it is marked, see Allow.
type Handler func(ctx context.Context, from netip.Addr, body []byte) ([]byte, error)

// Server answers the requests of other nodes. It is an http.Handler.
type Server struct {
	applying sync.Mutex
	counts   [reasons]atomic.Uint64
	state    atomic.Pointer[serverState]

	mu       sync.RWMutex
	handlers map[string]Handler
}

// serverState is a Config in the form requests need it.
type serverState struct {
	Config
	instance          instance // new with every state: what it has seen is new, too
	requests, answers *box
}

// NewServer returns a Server that refuses everybody until Apply.
func NewServer() *Server {
	s := &Server{handlers: map[string]Handler{}}
	s.state.Store(&serverState{})
	return s
}

// Handle registers h for requests of this name, 64 bytes at most, at any time. A
// later one takes the place of a former.
func (s *Server) Handle(name string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[name] = h
}

// Apply makes cfg the state. An equal one changes nothing; on an error nothing
// has changed. Requests under way are answered.
func (s *Server) Apply(cfg Config) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	cfg, err := cfg.checked()
	if err != nil || cfg.equal(s.state.Load().Config) {
		return err
	}
	next := &serverState{Config: cfg, requests: newBox(requests, cfg.Keys), answers: newBox(answers, cfg.Keys)}
	_, _ = rand.Read(next.instance[:]) // never fails
	s.state.Store(next)
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := s.state.Load()
	req, id, why := state.receive(r)
	s.counts[why].Add(1)
	var answer []byte
	switch why {
	case served:
		// The end of the server's deadline would cancel the handler, which the
		// caller bounds.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		answer = s.answer(r.Context(), req)
	case outdated:
		answer = append([]byte{meet}, state.instance[:]...)
	default:
		refuse(w, why)
		return
	}
	out, _ := state.answers.seal([keyIDSize]byte(id[1:]), id[:], answer)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(callTime))
	_, _ = w.Write(out) //nolint:gosec // ciphertext is no page; a failed write is a caller that left
}

// receive reads a request and says whether it may be served.
func (s *serverState) receive(r *http.Request) (request, header, reason) {
	from := addrOf(r)
	if !s.other(from) || r.Method != http.MethodPost {
		return request{}, header{}, stranger
	}
	sealed, err := readBody(r)
	if err != nil {
		return request{}, header{}, tooLarge
	}
	req, id, why := s.admit(from, sealed, time.Now())
	if why == served && Path+req.name != r.URL.Path {
		why = misdirected
	}
	return req, id, why
}

// refuse tells a stranger nothing.
func refuse(w http.ResponseWriter, why reason) {
	status := http.StatusUnauthorized
	if why == stranger {
		status = http.StatusNotFound
	}
	w.Header().Set("Connection", "close") // what is left of the body is not read
	w.WriteHeader(status)
}

func addrOf(r *http.Request) netip.Addr {
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	return addr.Addr().Unmap().WithZone("")
}

// readBody reads a body whose length was said before.
func readBody(r *http.Request) ([]byte, error) {
	const most = headerSize + fixedSize + maxName + MaxRequest + tagSize
	if r.ContentLength < 0 || r.ContentLength > most {
		return nil, errors.New("the length is not said, or too large")
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// admit opens a request that came from this address and says whether it may be
// served; outdated asks for a new one.
func (s *serverState) admit(from netip.Addr, sealed []byte, now time.Time) (request, header, reason) {
	plain, id, by, ok := s.requests.open(nil, sealed)
	if !ok {
		return request{}, id, unopenable
	}
	req, ok := parseRequest(plain)
	switch {
	case !ok:
		return req, id, unopenable
	case req.from != from || req.to != s.Node:
		return req, id, misdirected
	case now.Sub(req.at).Abs() > MaxSkew:
		return req, id, untimely
	case req.instance != s.instance:
		return req, id, outdated
	case !s.requests.hear(by, id.count(), now):
		return req, id, replayed
	}
	return req, id, served
}

// answer runs the handler.
func (s *Server) answer(ctx context.Context, req request) []byte {
	s.mu.RLock()
	handle := s.handlers[req.name]
	s.mu.RUnlock()
	if handle == nil {
		s.counts[unknown].Add(1)
		return encodeFailure(&Failure{CodeUnknown, "this node knows no request " + strconv.Quote(req.name)})
	}
	body, err := handle(marked(ctx), req.from, req.body)
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return encodeFailure(failure)
	case err != nil:
		return encodeFailure(&Failure{CodeFailed, err.Error()})
	case len(body) > MaxAnswer:
		return encodeFailure(&Failure{CodeTooLarge, "the answer to " + req.name + " is too large"})
	}
	return append(append(make([]byte, 0, 1+len(body)), success), body...)
}

// isName tells whether a request may be called so: what a path needs no escapes
// for.
func isName(name string) bool {
	return name != "" && len(name) <= maxName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-/") == ""
}
