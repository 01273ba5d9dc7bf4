package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// everywhere is where a node with this plan listens, on the virtual address too: a standby
// is ready before it comes.
func (p plan) everywhere() []listening {
	list := p.listens()
	if p.balancer.Virtual.IsLoopback() {
		return list // all nodes there share it
	}
	for _, f := range p.balancer.Fronts {
		list = append(list, listening{netip.AddrPortFrom(p.balancer.Virtual, f.Port), "front " + f.Name})
	}
	return list
}

// listener is a socket that listens, or one of UDP that is bound.
type listener struct {
	at    netip.AddrPort
	udp   bool
	inode uint64
	owner socketOwner
}

// socketOwner is the process that has a socket; without a pid it cannot be seen.
type socketOwner struct {
	pid  int
	name string
}

func (l listener) String() string {
	if l.owner.pid == 0 {
		return fmt.Sprintf("%s is taken by a process that cannot be seen from here", l.at)
	}
	return fmt.Sprintf("%s is taken by %s (process %d)", l.at, l.owner.name, l.owner.pid)
}

// meets tells whether two sockets of one port are in each other's way: one address, or
// one of them is for all of its family; :: is for both.
func (l listener) meets(a netip.AddrPort) bool {
	if l.at.Port() != a.Port() {
		return false
	}
	own, other := l.at.Addr().Unmap(), a.Addr().Unmap()
	wild := func(w, o netip.Addr) bool { return w.IsUnspecified() && (w.Is6() || o.Is4()) }
	return own == other || wild(own, other) || wild(other, own)
}

// portFindings compare where the plan listens with who listens. own is the node's
// process, 0 when none runs.
func portFindings(p plan, list []listener, own int) []finding {
	const name = "ports"
	var taken, unseen []string
	for _, l := range list {
		use := p.use(l)
		switch {
		case use == "" || own != 0 && l.owner.pid == own:
		case own != 0 && l.owner.pid == 0:
			unseen = append(unseen, l.at.String())
		default:
			taken = append(taken, fmt.Sprintf("%s, which is for %s", l, use))
		}
	}
	var all []finding
	if len(taken) > 0 {
		all = append(all, failed(name, "end the other program, or change the port in the settings; haproxy and keepalived of the original: systemctl disable --now haproxy keepalived", "%s", strings.Join(taken, "; ")))
	}
	if len(unseen) > 0 {
		all = append(all, unknown(name, asRoot, "whose sockets these are cannot be seen: %s", shortened(unseen)))
	}
	if len(all) == 0 {
		all = append(all, fine(name, "no other program has one of ours"))
	}
	return all
}

// shortened lists the first of many.
func shortened(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// use is what the plan has a socket's place for; "": nothing.
func (p plan) use(l listener) string {
	for _, w := range p.everywhere() {
		if l.meets(w.addr) && (!l.udp || w.what == forNodes) {
			return w.what
		}
	}
	g := p.gateway
	if n := l.at.Port(); g.Enabled && !l.udp && n >= g.PortStart && n <= g.PortStop {
		for _, a := range g.Listen {
			if l.meets(netip.AddrPortFrom(a, n)) {
				return "tunnels"
			}
		}
	}
	return ""
}

// outgoingFinding is about ports that the kernel may give to outgoing connections, and
// which then are taken at times. reserved are those that it leaves out.
func outgoingFinding(p plan, first, last int, reserved string, err error) finding {
	const name = "outgoing_ports"
	if err != nil {
		return unknown(name, asRoot, "%v", err)
	}
	free := map[int]bool{}
	for _, entry := range strings.Split(strings.TrimSpace(reserved), ",") {
		from, to, isRange := strings.Cut(entry, "-")
		a, err := strconv.Atoi(from)
		b := a
		if isRange {
			b, _ = strconv.Atoi(to) // the kernel writes numbers
		}
		for n := a; err == nil && n <= b; n++ {
			free[n] = true
		}
	}
	var within []int
	add := func(n int) {
		if n >= first && n <= last && !free[n] {
			within = append(within, n)
		}
	}
	for _, w := range p.everywhere() {
		add(int(w.addr.Port()))
	}
	for n := int(p.gateway.PortStart); p.gateway.Enabled && n <= int(p.gateway.PortStop); n++ {
		add(n)
	}
	if len(within) == 0 {
		return fine(name, "none of ours is among those of outgoing connections, %d to %d", first, last)
	}
	slices.Sort(within)
	return warned(name, fmt.Sprintf("sysctl net.ipv4.ip_local_reserved_ports=%s, in a file of /etc/sysctl.d", reservation(slices.Compact(within))),
		"ports of ours are among those that the kernel gives to outgoing connections (%d to %d): a connection may have one when it is needed", first, last)
}

// reservation writes sorted numbers as a list of ranges.
func reservation(ports []int) string {
	var parts []string
	for i := 0; i < len(ports); {
		j := i
		for j+1 < len(ports) && ports[j+1] == ports[j]+1 {
			j++
		}
		part := strconv.Itoa(ports[i])
		if j > i {
			part += "-" + strconv.Itoa(ports[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// States of sockets in the tables of the kernel, include/net/tcp_states.h.
const (
	stateListen = "0A"
	stateBound  = "07" // of UDP
)

// parseSockets reads a table such as /proc/net/tcp6: those that listen.
func parseSockets(table string, udp bool) []listener {
	wanted := stateListen
	if udp {
		wanted = stateBound
	}
	var list []listener
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != wanted {
			continue // also the heading
		}
		at, ok := parseSocketAddr(f[1])
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if ok && err == nil {
			list = append(list, listener{at: at, udp: udp, inode: inode})
		}
	}
	return list
}

// parseSocketAddr reads an address as the kernel prints it: words in the order of the
// host's bytes.
func parseSocketAddr(text string) (at netip.AddrPort, ok bool) {
	host, number, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, wrong := strconv.ParseUint(number, 16, 16)
	if err != nil || wrong != nil || len(b)%4 != 0 {
		return at, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, uint16(n)), ok
}
