package relay

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// States of include/net/tcp_states.h.
const (
	tcpClose     = 7 // reset, timed out or ended on both sides
	tcpCloseWait = 8 // the peer has finished, we have not
	tcpLastAck   = 9 // both have, the peer first
	tcpClosing   = 11
)

// received is how many bytes of payload c has received in all, and when the
// last of them came. ok is false when c is closed or not TCP.
func received(c net.Conn) (n int64, last time.Time, ok bool) {
	info, ok := tcpInfo(c)
	if !ok {
		return 0, time.Time{}, false
	}
	n = int64(info.Bytes_received) //nolint:gosec // exabytes do not happen
	switch info.State {
	case tcpCloseWait, tcpLastAck, tcpClosing, tcpClose:
		// The FIN takes a number of the sequence space, which the kernel
		// counts. After a reset there was none, but then this is the last
		// moment anybody looks here.
		n = max(n-1, 0)
	}
	ago := time.Duration(info.Last_data_recv) * time.Millisecond
	return n, time.Now().Add(-ago), true
}

// roundTrip is the kernel's smoothed round-trip time of c; 0 when not known.
func roundTrip(c net.Conn) time.Duration {
	info, ok := tcpInfo(c)
	if !ok {
		return 0
	}
	return time.Duration(info.Rtt) * time.Microsecond
}

// unsent tells how many bytes the peer of c has taken in all, and whether more of
// them wait to be sent.
func unsent(c net.Conn) (acked uint64, waiting bool) {
	info, ok := tcpInfo(c)
	if !ok {
		return 0, false
	}
	return info.Bytes_acked, info.Notsent_bytes > 0
}

// tcpGone tells whether the peer of c is gone for good.
func tcpGone(c net.Conn) bool {
	info, ok := tcpInfo(c)
	return ok && info.State == tcpClose
}

func tcpInfo(c net.Conn) (*unix.TCPInfo, bool) {
	t, ok := bare(c).(*net.TCPConn)
	if !ok {
		return nil, false
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil, false
	}
	var info *unix.TCPInfo
	cerr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	return info, cerr == nil && err == nil
}
