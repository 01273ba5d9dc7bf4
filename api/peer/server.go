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
	instance instance
	counts   [reasons]atomic.Uint64
	state    atomic.Pointer[serverState]

	mu       sync.RWMutex
	handlers map[string]Handler
}

// serverState is a Config in the form requests need it.
type serverState struct {
	Config
	requests, answers *box
}

// NewServer returns a Server that refuses everybody until Apply.
func NewServer() *Server {
	s := &Server{handlers: map[string]Handler{}}
	_, _ = rand.Read(s.instance[:]) // never fails
	s.state.Store(&serverState{})
	return s
}

// Handle registers h for requests of this name, 64 bytes at most, at any time. A
// later one takes the place of a former.
func (s *Server) Handle(name string, h func(ctx context.Context, from netip.Addr, body []byte) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[name] = h
}

// Apply makes cfg the state. An equal one changes nothing; on an error nothing
// has changed. Counts seen under the former keys are forgotten, and so is who
// sealed by them unless they stay among the Keys.
func (s *Server) Apply(cfg Config) error {
	cfg, err := cfg.checked()
	if err != nil || cfg.equal(s.state.Load().Config) {
		return err
	}
	s.state.Store(&serverState{Config: cfg, requests: newBox(requests, cfg.Keys), answers: newBox(answers, cfg.Keys)})
	return nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state, from := s.state.Load(), addrOf(r)
	if !state.other(from) || r.Method != http.MethodPost {
		s.refuse(w, stranger)
		return
	}
	sealed, err := readBody(r)
	if err != nil {
		s.refuse(w, tooLarge)
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // its end would cancel the handler, which the caller bounds
	_ = rc.SetWriteDeadline(time.Time{})
	req, id, why := s.admit(state, from, sealed, time.Now())
	if why == served && Path+req.name != r.URL.Path {
		why = misdirected
	}
	if why != served && why != outdated {
		s.refuse(w, why)
		return
	}
	s.counts[why].Add(1)
	answer := append([]byte{meet}, s.instance[:]...)
	if why == served {
		answer = s.answer(r.Context(), req)
	}
	out, _ := state.answers.seal([keyIDSize]byte(id[1:]), id[:], answer)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_ = rc.SetWriteDeadline(time.Now().Add(callTime))
	_, _ = w.Write(out) // a failed write is a caller that left
}

// refuse tells a stranger nothing.
func (s *Server) refuse(w http.ResponseWriter, why reason) {
	s.counts[why].Add(1)
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
func (s *Server) admit(state *serverState, from netip.Addr, sealed []byte, now time.Time) (request, header, reason) {
	plain, id, by, ok := state.requests.open(nil, sealed)
	if !ok {
		return request{}, id, unopenable
	}
	req, ok := parseRequest(plain)
	switch {
	case !ok:
		return req, id, unopenable
	case req.from != from || req.to != state.Node:
		return req, id, misdirected
	case now.Sub(req.at).Abs() > MaxSkew:
		return req, id, untimely
	case req.instance != s.instance:
		return req, id, outdated
	case !state.requests.hear(by, id.count(), now):
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
