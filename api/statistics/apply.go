package statistics

import (
	"net/netip"
	"slices"
)

// Apply makes cfg the state of the server, before Run as well as while it runs.
// An equal Config changes nothing. An error names the address that cannot be
// bound, and nothing has changed. Addresses that go are closed last.
func (s *Server) Apply(cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	fresh, err := s.bind(cfg)
	if err != nil {
		return err
	}
	for addr, d := range s.doors {
		if !slices.Contains(cfg.Listen, addr) {
			s.retire(d)
			delete(s.doors, addr)
		}
	}
	for addr, d := range fresh {
		s.doors[addr] = d
		if s.running {
			s.serve(d)
		}
	}
	return nil
}

// bind opens doors at the addresses that have none: all of them, or none. The
// caller holds mu.
func (s *Server) bind(cfg Config) (map[netip.AddrPort]*door, error) {
	fresh := map[netip.AddrPort]*door{}
	for _, addr := range cfg.Listen {
		if s.doors[addr] != nil || fresh[addr] != nil {
			continue
		}
		d, err := newDoor(addr, cfg, s.handler, s.deps)
		if err != nil {
			for _, f := range fresh {
				f.close()
			}
			return nil, err
		}
		fresh[addr] = d
	}
	return fresh, nil
}

// Addrs are the addresses that are served, with the port that the system chose
// where the Config says 0.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]netip.AddrPort, 0, len(s.doors))
	for _, d := range s.doors {
		if a, err := netip.ParseAddrPort(d.Addr().String()); err == nil { // always TCP
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return addrs
}
