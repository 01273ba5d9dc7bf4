package api

import (
	"net/netip"
	"slices"
)

// Apply makes cfg the state of the server, before Run as well as while it runs.
// An equal Config changes nothing. An error names the address that cannot be
// bound, and nothing has changed. Connections of a listener that goes finish the
// request they are at; WebSockets stay.
func (s *Server) Apply(cfg Config) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	next := newState(cfg)
	if next.equal(s.state.Load()) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	fresh, err := s.bind(next.Listen)
	if err != nil {
		return err
	}
	s.state.Store(next) // before anybody is served at the new addresses
	for addr, l := range s.listeners {
		if !slices.Contains(next.Listen, addr) {
			l.retire()
			delete(s.listeners, addr)
		}
	}
	for addr, l := range fresh {
		s.listeners[addr] = l
		if s.running {
			s.serve(l)
		}
	}
	return nil
}

// bind opens listeners for the addresses that have none: all of them, or none.
// The caller holds mu.
func (s *Server) bind(wanted []netip.AddrPort) (map[netip.AddrPort]*listener, error) {
	fresh := map[netip.AddrPort]*listener{}
	for _, addr := range wanted {
		if s.listeners[addr] != nil {
			continue
		}
		l, err := s.bindOne(addr, wanted)
		if err != nil {
			for _, f := range fresh {
				_ = f.Close()
			}
			return nil, err
		}
		fresh[addr] = l
	}
	return fresh, nil
}

// bindOne binds addr beside the listeners that are about to go: from an address
// to the wildcard of the same port, or back, both exist for a moment.
func (s *Server) bindOne(addr netip.AddrPort, wanted []netip.AddrPort) (*listener, error) {
	var leaving []*listener
	for present, l := range s.listeners {
		if !slices.Contains(wanted, present) && overlap(present, addr) {
			leaving = append(leaving, l)
		}
	}
	for _, l := range leaving {
		if err := l.share(true); err != nil {
			return nil, err
		}
	}
	fresh, err := s.listen(addr, len(leaving) > 0)
	for _, l := range leaving {
		_ = l.share(false) // it is about to close, or stays as it was
	}
	if err != nil || len(leaving) == 0 {
		return fresh, err
	}
	return fresh, fresh.share(false)
}

// trusts tells whether peer may say whom its connections are for.
func (s *Server) trusts(peer netip.Addr) bool {
	contains := func(p netip.Prefix) bool { return p.Contains(peer) }
	return slices.ContainsFunc(s.state.Load().Trusted, contains)
}

func overlap(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// Addrs are the addresses that are served, with the port that the system chose
// where the Config says 0.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]netip.AddrPort, 0, len(s.listeners))
	for _, l := range s.listeners {
		if a, err := netip.ParseAddrPort(l.Addr().String()); err == nil { // always TCP
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return addrs
}
