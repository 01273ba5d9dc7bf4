package conntrack

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
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
		if err := s.send(t, syn); err != nil {
			return err
		}
	}
	return nil
}

func TestListing(t *testing.T) {
	entry := func(flags uint16) message { return first(t, shown(flow4, msgNew, flags, 0)) }
	number := func(errno unix.Errno) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))) }
	done := message{kind: typeDone, sequence: 1, body: number(0)}
	l := listing{sequence: 1, filter: Filter{Mark: flow4.Mark, Mask: 0xff}}
	take := func(m message, wantDone bool, want error) {
		t.Helper()
		if got, err := l.take(m); got != wantDone || !errors.Is(err, want) {
			t.Errorf("got %v and %v, want %v and %v", got, err, wantDone, want)
		}
	}
	take(entry(0), false, nil)
	other := entry(flagIntr)
	other.sequence = 9
	take(other, false, nil)
	if l.interrupted || len(l.flows) != 1 || l.flows[0] != flow4 {
		t.Errorf("got %+v, want one flow, and nothing of another dump", l)
	}
	take(entry(flagIntr), false, nil)
	take(done, true, nil)
	if !l.interrupted {
		t.Error("got a whole dump, want it interrupted")
	}
	take(message{kind: typeError, sequence: 1, body: number(unix.EPERM)}, true, ErrNotPermitted)
	take(message{kind: typeError, sequence: 1}, true, ErrMalformed)
}
