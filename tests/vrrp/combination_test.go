package vrrp

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// keepalivedSlack is what Keepalived may take longer than it needs.
const keepalivedSlack = 150 * time.Millisecond

const keepalivedPriority = 150

// combination is one cell of the matrix: a node of ours beside a Keepalived.
type combination struct {
	version  int
	virtual  string
	inside6  bool // the node's own address is of IPv6
	unicast  bool
	first    bool // ours is started first
	priority int
	preempt  bool
	higher   bool // our primary address is the higher one; not to be chosen for IPv6 multicast
}

func (c combination) String() string {
	choose := func(yes bool, a, b string) string {
		if yes {
			return a
		}
		return b
	}
	parts := []string{
		fmt.Sprintf("version %d", c.version), c.virtual, choose(c.inside6, "IPv6 inside", "IPv4 inside"),
		choose(c.unicast, "unicast", "multicast"), choose(c.first, "first", "second"),
		fmt.Sprintf("priority %d to %d", c.priority, keepalivedPriority), choose(c.preempt, "preempt", "no preempt"),
		choose(c.higher, "higher address", "lower address"),
	}
	return strings.Join(parts, ", ")
}

// every is the interval of advertisements.
func (c combination) every() time.Duration {
	if c.version == 2 {
		return time.Second
	}
	return interval
}

// down is how long the others wait for one with a priority.
func (c combination) down(priority int) time.Duration {
	if c.version == 2 { // RFC 3768: the skew is of seconds
		return 3*c.every() + time.Duration(256-priority)*time.Second/256
	}
	return down(priority, c.every())
}

// inside are the addresses of our host and of Keepalived's.
func (c combination) inside() (ours, theirs string) {
	ours, theirs = "10.99.0.1", "10.99.0.2"
	if c.higher {
		ours = "10.99.0.3"
	}
	if c.inside6 {
		ours, theirs = "fd99::"+ours[len(ours)-1:], "fd99::2"
	}
	return ours, theirs
}

// settings are those of our node. Without the other one's address it is a node alone,
// which waits for nobody.
func (c combination) settings() node.Settings {
	ours, theirs := c.inside()
	over := map[string]any{"version": c.version, "advert_ms": c.every().Milliseconds(), "preempt": c.preempt}
	addrs := []string{ours}
	if c.unicast {
		over["mode"], addrs = "unicast", append(addrs, theirs)
	}
	return node.Settings{
		"internal_addrs": addrs, "vrrp": election(over),
		"nodes": map[string]any{ours: map[string]any{"priority": c.priority}},
	}
}

func (c combination) peer() peerConfig {
	ours, theirs := c.inside()
	v := netip.MustParseAddr(c.virtual)
	p := peerConfig{
		version: c.version, priority: keepalivedPriority, every: c.every(), preempt: c.preempt,
		virtual: netip.PrefixFrom(v, v.BitLen()).String(),
	}
	if c.unicast {
		p.own, p.other = theirs, ours
	}
	return p
}

// primary is the address from which a host sends: the link-local one over IPv6
// multicast.
func (c combination) primary(r *rig, h *lab.Host) netip.Addr {
	if c.unicast || !r.virtual.Is6() {
		return h.Addr()
	}
	out, err := h.Run(soon(r.t), exec.Command("ip", "-6", "-brief", "addr", "show", "dev", "eth0", "scope", "link"))
	r.try(err)
	fields := strings.Fields(out)
	r.try(assert(len(fields) > 2, "a link-local address in "+out))
	return netip.MustParsePrefix(fields[2]).Addr()
}

func assert(ok bool, what string) error {
	if !ok {
		return fmt.Errorf("want %s", what)
	}
	return nil
}
