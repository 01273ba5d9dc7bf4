package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// commandTime bounds a command that configures the network.
const commandTime = 10 * time.Second

// Host is a machine of the network: a namespace with an interface eth0.
type Host struct {
	name     string
	space    *space
	network  *Network
	device   string // its interface
	port     string // its plug in the switch
	prefixes []netip.Prefix
	addrs    []netip.Addr // of the prefixes
	guest    bool         // a host of another network, which owns the namespace

	mu        sync.Mutex
	processes []*Process
	counters  int
}

// Name is what the host was called.
func (h *Host) Name() string { return h.name }

// Addr is the host's first address.
func (h *Host) Addr() netip.Addr { return h.addrs[0] }

// Addrs are all addresses of the host, in the order in which they were given.
func (h *Host) Addrs() []netip.Addr { return h.addrs }

// Addr6 is the host's first IPv6 address; invalid when it has none.
func (h *Host) Addr6() netip.Addr {
	for _, a := range h.addrs {
		if a.Is6() {
			return a
		}
	}
	return netip.Addr{}
}

// Path is the namespace's path for nsenter and `ip -netns`, while this process
// lives.
func (h *Host) Path() string { return h.space.path() }

// Do runs f on a thread of the host: sockets it makes and processes it starts
// belong to the host. Goroutines that f starts do not run there.
func (h *Host) Do(f func() error) error { return h.space.do(f) }

// DialContext connects from the host to an IP address and port; it fits
// http.Transport.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dial(ctx, net.Dialer{}, network, address)
}

// Dial connects from one address of the host, or from any when it is invalid.
func (h *Host) Dial(from netip.Addr, to netip.AddrPort, timeout time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: timeout}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := h.dial(context.Background(), d, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// dial dials literal addresses only: a name would be resolved elsewhere, and
// two addresses would be tried on other threads.
func (h *Host) dial(ctx context.Context, d net.Dialer, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("host %s dials literal addresses only: %w", h.name, err)
	}
	d.SetMultipathTCP(false)
	d.KeepAlive = -1
	err = h.Do(func() error {
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens on an address of the host, such as 10.99.0.20:5900.
func (h *Host) Listen(address string) (l *net.TCPListener, err error) {
	err = h.Do(func() error {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		got, err := lc.Listen(context.Background(), "tcp", address)
		if err == nil {
			l = got.(*net.TCPListener)
		}
		return err
	})
	return l, err
}

// Unplug makes every frame from and to the host vanish. The host keeps its
// link and notices nothing, as when a switch fails somewhere in between.
func (h *Host) Unplug() error {
	return ip(h.network.wire, "link set "+h.port+" nomaster")
}

// Plug undoes Unplug.
func (h *Host) Plug() error {
	return ip(h.network.wire, "link set "+h.port+" master bridge0")
}

// Take gives the host one more address, as a failover does: at once, and beside
// those it was made with.
func (h *Host) Take(a netip.Addr) error {
	return ip(h.space, fmt.Sprintf("addr add %s dev %s", netip.PrefixFrom(a, a.BitLen()), h.device))
}

// Drop takes the address away again.
func (h *Host) Drop(a netip.Addr) error {
	return ip(h.space, fmt.Sprintf("addr del %s dev %s", netip.PrefixFrom(a, a.BitLen()), h.device))
}

// Forget empties the host's table of neighbours, as if every address had been
// announced anew.
func (h *Host) Forget() error { return ip(h.space, "neigh flush dev "+h.device) }

// close ends the host's processes and gives the namespace up.
func (h *Host) close() {
	h.mu.Lock()
	all := h.processes
	h.processes = nil
	h.mu.Unlock()
	for _, p := range all {
		p.Kill()
	}
	if !h.guest {
		h.space.close()
	}
}

// ip runs lines of `ip -batch` in a namespace.
func ip(s *space, lines ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	return s.do(func() error {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(lines, "; "), err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}
