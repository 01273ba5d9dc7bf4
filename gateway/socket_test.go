package gateway

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socketTo finds this process's socket whose peer is there: the other end of
// a connection that a test holds.
func socketTo(t testing.TB, there net.Addr) int {
	t.Helper()
	want := there.(*net.TCPAddr).AddrPort()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	for _, entry := range list {
		fd, _ := strconv.Atoi(entry.Name())
		peer, err := unix.Getpeername(fd)
		if err != nil {
			continue
		}
		if four, ok := peer.(*unix.SockaddrInet4); ok && netip.AddrPortFrom(netip.AddrFrom4(four.Addr), uint16(four.Port)) == want {
			return fd
		}
	}
	t.Fatalf("no socket of ours has the peer %s", want)
	return 0
}

// Both legs have to notice a peer that is gone without a word.
func TestBothLegsAreTuned(t *testing.T) {
	vmEnd := make(chan net.Addr, 1)
	vm := newMachine(t, func(c *net.TCPConn) {
		vmEnd <- c.LocalAddr()
		_, _ = c.Read(make([]byte, 1))
	})
	r := newRig(t, func(c *Config) {
		c.Timeouts.Keepalive, c.Timeouts.UserTimeout = 12*time.Second, 34567*time.Millisecond
	})
	c := r.enter(r.granted("127.0.0.5", vm.addr))
	toVM := <-vmEnd
	eventually(t, "a session", func() bool { return r.audit.count(EventOpen) == 1 })
	for name, there := range map[string]net.Addr{"client": c.LocalAddr(), "VM": toVM} {
		fd := socketTo(t, there)
		for _, tt := range []struct {
			option              string
			level, number, want int
		}{
			{"keepalive", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"idle", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 12},
			{"interval", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 4},
			{"probes", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes},
			{"user timeout", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 34567},
		} {
			if got, err := unix.GetsockoptInt(fd, tt.level, tt.number); got != tt.want || err != nil {
				t.Errorf("%s of the %s's leg: got %d (%v), want %d", tt.option, name, got, err, tt.want)
			}
		}
		// A length of none: the listener's filter would run on every packet.
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_GET_FILTER); n != 0 || err != nil {
			t.Errorf("got a filter on the %s's leg (%d instructions, %v), want none", name, n, err)
		}
	}
}

func TestTuneWithoutTimes(t *testing.T) {
	vm := newSink(t)
	c, err := dialFrom("127.0.0.1", vm.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, times := range []Timeouts{{Keepalive: time.Second, UserTimeout: time.Second}, {}} {
		if err := tuneConn(c, times); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = onSocket(raw, func(fd int) error {
		on, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		most, _ := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if on != 0 || most != 0 {
			t.Errorf("got keepalive %d and user timeout %d ms, want neither", on, most)
		}
		return nil
	})
}
