package gateway

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a VM: a real server on loopback.
type machine struct {
	addr     netip.AddrPort
	listener *net.TCPListener
	accepted atomic.Int32

	mu    sync.Mutex
	conns []*net.TCPConn
}

// newMachine serves each connection until the test ends.
func newMachine(t testing.TB, serve func(*net.TCPConn)) *machine {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{addr: l.Addr().(*net.TCPAddr).AddrPort(), listener: l}
	var all sync.WaitGroup
	all.Go(func() { m.accept(&all, serve) })
	t.Cleanup(func() {
		l.Close()
		m.hangUp()
		all.Wait()
	})
	return m
}

func (m *machine) accept(all *sync.WaitGroup, serve func(*net.TCPConn)) {
	for {
		c, err := m.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, on purpose
			continue
		}
		m.accepted.Add(1)
		m.mu.Lock()
		m.conns = append(m.conns, c)
		m.mu.Unlock()
		all.Go(func() { serve(c) })
	}
}

// hangUp resets all connections of the machine.
func (m *machine) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		_ = c.SetLinger(0)
		c.Close()
	}
	m.conns = nil
}

// newEcho is a machine that answers with what it is told.
func newEcho(t testing.TB) *machine {
	t.Helper()
	return newMachine(t, func(c *net.TCPConn) {
		_, _ = io.Copy(c, c)
		_ = c.CloseWrite()
	})
}

// dialFrom connects from one loopback address to another.
func dialFrom(from string, to netip.AddrPort, most time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: most, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c.(*net.TCPConn), nil
}

// enter connects a client to its tunnel.
func (r *rig) enter(g Grant) *net.TCPConn {
	r.t.Helper()
	c, err := dialFrom(g.Client.String(), netip.AddrPortFrom(r.addr, g.Port), patience)
	if err != nil {
		r.t.Fatalf("a granted client could not connect: %v", err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// says sends a message through a tunnel to an echo machine and awaits it.
func says(t testing.TB, c net.Conn, message string) {
	t.Helper()
	if err := said(c, message); err != nil {
		t.Fatal(err)
	}
}

func said(c net.Conn, message string) error {
	if _, err := io.WriteString(c, message); err != nil {
		return err
	}
	got := make([]byte, len(message))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != message {
		return errors.New("got " + string(got) + ", want " + message)
	}
	return nil
}

// endsWithin waits for the end of what comes from c and tells how it ended.
func endsWithin(t testing.TB, c net.Conn, most time.Duration) error {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(most))
	_, err := io.Copy(io.Discard, c)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Fatalf("still open after %s", most)
	}
	return err
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// deaf is the address of a listener whose queue is full: it neither answers
// nor refuses.
func deaf(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	for { // until the queue is full
		c, err := dialFrom("127.0.0.1", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

// newSink is a machine that listens and says nothing, even when its client
// has finished.
func newSink(t testing.TB) *machine {
	t.Helper()
	ended := make(chan struct{})
	m := newMachine(t, func(c *net.TCPConn) {
		_, _ = io.Copy(io.Discard, c)
		<-ended
	})
	t.Cleanup(func() { close(ended) })
	return m
}
