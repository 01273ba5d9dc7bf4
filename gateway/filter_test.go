package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/relay"
)

// needFilters skips a test where the kernel lets this user attach no filter:
// strangers come as far as accept there (docs/decisions/0007).
func needFilters(t testing.TB) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := setFilter(fd, []bpf.Instruction{bpf.RetConstant{Val: acceptAll}}); errors.Is(err, unix.EPERM) {
		t.Skip("the kernel lets this user attach no filter to a socket; run as root")
	}
}

// openPort is a port of ports for the given clients, who are refused only after
// accept.
func openPort(t testing.TB, addr netip.AddrPort, clients ...string) *ports {
	t.Helper()
	engine := relay.New()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	p := newPorts(engine, kernel.New(kernel.Deps{}), func(relay.Visitor, netip.AddrPort, relay.Pair) *relay.Call { return nil }, silent())
	t.Cleanup(func() {
		p.close()
		stop()
		<-ended
	})
	if err := p.rebind(bindings{addrs: []netip.Addr{addr.Addr()}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if err := p.letIn(addr.Port(), c); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// letIn lets a client in from the moment it returns.
func (p *ports) letIn(number uint16, client string) error {
	if err := p.allow(way{slot: slot{netip.MustParseAddr(client), number}}); err != nil {
		return err
	}
	return p.reach(number)
}

// shut checks that a client gets no connection at all.
func shut(t testing.TB, client string, to netip.AddrPort) {
	t.Helper()
	if c, err := dialFrom(client, to, 50*time.Millisecond); err == nil {
		c.Close()
		t.Errorf("%s got a connection, want silence or a refusal", client)
	}
}

// through checks that a client gets one, be it to be reset at once.
func through(t testing.TB, client string, to netip.AddrPort) {
	t.Helper()
	if err := admitted(client, to, patience); err != nil {
		t.Errorf("%s got no connection: %v", client, err)
	}
}

func admitted(client string, to netip.AddrPort, most time.Duration) error {
	c, err := dialFrom(client, to, most)
	if err == nil {
		return c.Close()
	}
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

func TestFilterLetsItsClientsThrough(t *testing.T) {
	needFilters(t)
	for _, n := range []int{1, 2, blockMax, blockMax + 1, 3*blockMax - 1} {
		t.Run(fmt.Sprint(n, " clients"), func(t *testing.T) {
			addr := netip.AddrPortFrom(loopbackOf(t), 21000)
			var clients []string
			for i := range n {
				clients = append(clients, fmt.Sprintf("127.3.%d.%d", i/200, 1+i%200))
			}
			openPort(t, addr, clients...)
			for _, i := range []int{0, n / 2, n - 1} {
				through(t, clients[i], addr)
			}
			shut(t, "127.0.0.1", addr)
			shut(t, "127.3.200.1", addr)
		})
	}
}

func TestFilterFollowsItsClients(t *testing.T) {
	needFilters(t)
	addr := netip.AddrPortFrom(loopbackOf(t), 21000)
	p := openPort(t, addr, "127.0.0.5", "127.0.0.6", "127.0.0.5")
	at := func(client string) way { return way{slot: slot{netip.MustParseAddr(client), addr.Port()}} }
	p.revoke(at("127.0.0.6"))
	shut(t, "127.0.0.6", addr)
	through(t, "127.0.0.5", addr)
	p.revoke(at("127.0.0.5"))
	through(t, "127.0.0.5", addr) // it was allowed twice
	p.revoke(at("127.0.0.7"))     // it never was
	p.revoke(at("127.0.0.5"))
	shut(t, "127.0.0.5", addr)
	if !bindable(addr) {
		t.Error("the port is still bound with nobody allowed")
	}
}

// An accepted connection would run the filter on every packet.
func TestFilterIsTakenOffAConnection(t *testing.T) {
	needFilters(t)
	local := netip.MustParseAddr("127.0.0.1")
	l, err := listen(netip.AddrPortFrom(local, 0), []netip.Addr{netip.MustParseAddr("127.0.0.5")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dialFrom("127.0.0.5", l.Addr().(*net.TCPAddr).AddrPort(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	here, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if !filtered(t, here) {
		t.Error("got no filter on an accepted connection, want the listener's")
	}
	control(t, here, func(fd int) error { dropFilter(fd); return nil })
	if filtered(t, here) {
		t.Error("got a filter, want none")
	}
}

// control runs do on the descriptor of a socket.
func control(t testing.TB, s syscall.Conn, do func(fd int) error) {
	t.Helper()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := onSocket(raw, do); err != nil {
		t.Fatal(err)
	}
}

// filtered asks the kernel whether a connection has a filter: one that does
// not fit the four bytes asked for is an error.
func filtered(t testing.TB, c *net.TCPConn) bool {
	t.Helper()
	var yes bool
	control(t, c, func(fd int) error {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_GET_FILTER)
		yes = n > 0 || errors.Is(err, unix.EINVAL)
		return nil
	})
	return yes
}

func TestFilterOfTooManyLetsAllComeToAccept(t *testing.T) {
	needFilters(t)
	local := netip.MustParseAddr("127.0.0.1")
	l, err := listen(netip.AddrPortFrom(local, 0), []netip.Addr{local})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var clients []netip.Addr
	for i := range filterMax + 10 {
		clients = append(clients, crowd(i))
	}
	control(t, l, func(fd int) error { return attachFilter(fd, local, clients, nil) })
	to := l.Addr().(*net.TCPAddr).AddrPort()
	through(t, "127.0.0.5", to)
	control(t, l, func(fd int) error { return attachFilter(fd, local, clients[:10], nil) })
	shut(t, "127.0.0.5", to)
}

// Programs of every size must be ones the assembler takes: a jump has a byte.
func TestFilterProgramsAssemble(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	var mixed []netip.Addr
	for i := range 600 {
		mixed = append(mixed, crowd(i), netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i), 14: byte(i >> 8)}))
	}
	for n := 0; n <= len(mixed); n += 7 {
		for _, local := range []netip.Addr{four, six} {
			if _, err := bpf.Assemble(filterProgram(local, mixed[:n], nil)); err != nil {
				t.Fatalf("%d clients on %s: %v", n, local, err)
			}
		}
	}
}

func TestFilterIPv6(t *testing.T) {
	needFilters(t)
	one := netip.MustParseAddr("::1")
	if !bindable(netip.AddrPortFrom(one, 0)) {
		t.Skip("no IPv6 on this machine's loopback")
	}
	first, _ := freeRange(t, one, 1)
	addr := netip.AddrPortFrom(one, first)
	p := openPort(t, addr, "2001:db8::1", "::1", "2001:db8::2", "::2")
	through(t, "::1", addr)
	p.revoke(way{slot: slot{one, first}})
	shut(t, "::1", addr)
}
