package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Network is a switch and the hosts that are plugged into it.
type Network struct {
	t      testing.TB // nil outside tests
	wire   *space     // the switch's own namespace
	hosts  []*Host
	number int // of the next port
}

// New makes an empty network that ends with the test. Where namespaces cannot
// be made it skips the test and says why.
func New(t testing.TB) *Network {
	t.Helper()
	n, err := Make()
	if errors.Is(err, ErrNotAllowed) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("make a lab network: %v", err)
	}
	n.t = t
	t.Cleanup(n.Close)
	return n
}

// Make is New outside a test: the caller closes the network, and asks AddHost
// for hosts. The error wraps ErrNotAllowed where it cannot be made here.
func Make() (*Network, error) {
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("%w, and the command ip (Debian: iproute2)", ErrNotAllowed)
	}
	wire, err := newSpace()
	if err != nil {
		return nil, err
	}
	n := &Network{wire: wire}
	err = errors.Join(wire.do(plainSwitch), ip(wire,
		"link set lo up",
		"link add bridge0 type bridge mcast_snooping 0 forward_delay 0 stp_state 0",
		"link set bridge0 up"))
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// plainSwitch keeps the host's packet filter away from frames that only pass a
// bridge: a switch has none, and it costs time for every packet. Where the
// kernel has no such filter for bridges there is nothing to switch off.
func plainSwitch() error {
	const folder = "/proc/sys/net/bridge"
	for _, name := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"} {
		err := os.WriteFile(filepath.Join(folder, name), []byte("0"), 0o600)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close ends what runs on the hosts and drops the network.
func (n *Network) Close() {
	for _, h := range n.hosts {
		h.close()
	}
	n.hosts = nil
	n.wire.close()
}

// Host plugs in a host with the given addresses, such as 10.99.0.1/24. IPv6
// addresses are left out where the kernel has no IPv6: see IPv6. It fails the
// test when that does not work.
func (n *Network) Host(name string, addrs ...string) *Host {
	n.t.Helper()
	h, err := n.AddHost(name, addrs...)
	if err != nil {
		n.t.Fatalf("add host %s: %v", name, err)
	}
	return h
}

// AddHost is Host outside a test.
func (n *Network) AddHost(name string, addrs ...string) (*Host, error) {
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	return n.plug(&Host{name: name, space: s, device: "eth0"}, addrs)
}

// plug gives a host its interface in the network, and addresses on it.
func (n *Network) plug(h *Host, addrs []string) (*Host, error) {
	h.network, h.port = n, fmt.Sprintf("port%d", n.number)
	n.number++
	n.hosts = append(n.hosts, h)
	for _, text := range addrs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		h.prefixes, h.addrs = append(h.prefixes, p), append(h.addrs, p.Addr())
	}
	if err := h.connect(); err != nil {
		return nil, err
	}
	return h, h.configure()
}

// Join plugs a host of another network in here as well, by an interface eth1. The answer
// is the same machine by its other leg: Cut, Take, Addrs and the like are about that.
func (n *Network) Join(h *Host, addrs ...string) *Host {
	n.t.Helper()
	leg, err := n.JoinHost(h, addrs...)
	if err != nil {
		n.t.Fatalf("join host %s: %v", h.name, err)
	}
	return leg
}

// JoinHost is Join outside a test.
func (n *Network) JoinHost(h *Host, addrs ...string) (*Host, error) {
	return n.plug(&Host{name: h.name, space: h.space, device: "eth1", guest: true}, addrs)
}

// configure sets the host's addresses; IPv6 ones are good at once, without
// looking for a double first.
func (h *Host) configure() error {
	lines := []string{"link set lo up"}
	for _, p := range h.prefixes {
		if p.Addr().Is4() {
			lines = append(lines, fmt.Sprintf("addr add %s dev %s", p, h.device))
		} else if IPv6() {
			lines = append(lines, fmt.Sprintf("addr add %s dev %s nodad", p, h.device))
		}
	}
	_ = h.space.do(h.noDoubles) // else the link-local one is good a second later
	return ip(h.space, append(lines, "link set "+h.device+" up")...)
}

func (h *Host) noDoubles() error {
	return os.WriteFile("/proc/sys/net/ipv6/conf/"+h.device+"/accept_dad", []byte("0"), 0o600)
}

// IPv6 tells whether this kernel has IPv6.
func IPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}
