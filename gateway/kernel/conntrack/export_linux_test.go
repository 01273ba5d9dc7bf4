package conntrack

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Narrow leaves a table the least room for answers.
func (t *Table) Narrow() error { return unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) }

// Knock sends n bare SYNs from ports one after the other, in bundles at a pace.
func Knock(from, to netip.AddrPort, n, bundle int, pace time.Duration) error {
	s, err := openSender(0)
	if err != nil {
		return err
	}
	defer s.close()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range n {
		if i%bundle == 0 {
			<-tick.C
		}
		t := Tuple{Src: netip.AddrPortFrom(from.Addr(), from.Port()+uint16(i)), Dst: to}
		if err := s.send(t); err != nil {
			return err
		}
	}
	return nil
}
