package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// pathState is how packets of two sizes get to another node and back.
type pathState struct {
	node        netip.Addr
	mtu         int // what this host believes
	small, full bool
	err         error
}

func packetFindings(list []pathState) []finding {
	const name = "mtu"
	var all []finding
	for _, p := range list {
		switch {
		case p.err != nil:
			all = append(all, unknown(name, asRoot, "packets to node %s: %v", p.node, p.err))
		case !p.small:
			all = append(all, unknown(name, "let ICMP echo through between the nodes, then look again", "node %s answers no ping, so sizes cannot be tried", p.node))
		case !p.full:
			all = append(all, failed(name, "set the same MTU on all nodes and on the switch ports between, one that the network carries; let ICMP \"too big\" through",
				"packets of %d bytes to node %s vanish, small ones arrive: sessions through another node stall", p.mtu, p.node))
		default:
			all = append(all, fine(name, "packets of %d bytes reach node %s unfragmented", p.mtu, p.node))
		}
	}
	return all
}

// packets tries the way to every other node at once.
func (p patient) packets(ctx context.Context) []finding {
	var list []pathState
	for _, n := range nodesOf(p.s) {
		if n != p.node && !n.IsLoopback() && p.s.VirtualAddr != "" {
			list = append(list, pathState{node: n})
		}
	}
	var group sync.WaitGroup
	for i := range list {
		group.Go(func() { list[i].try(ctx, p.node) })
	}
	group.Wait()
	return packetFindings(list)
}

const (
	smallPing = 56
	pingTries = 3
	pingTime  = 700 * time.Millisecond
)

// try sends echo requests that nobody may fragment.
func (p *pathState) try(ctx context.Context, from netip.Addr) {
	if p.mtu, p.err = beliefAbout(ctx, p.node); p.err != nil {
		return
	}
	conn, err := openPing(ctx, from, p.node)
	if err != nil {
		p.err = err
		return
	}
	defer conn.Close()
	header := ipv4.HeaderLen + 8
	if p.node.Is6() {
		header = ipv6.HeaderLen + 8
	}
	if p.small, p.err = ping(conn, p.node, smallPing); p.err == nil && p.small {
		p.full, p.err = ping(conn, p.node, p.mtu-header)
	}
}

// beliefAbout is the MTU of the way to a node as the kernel has it. It sends nothing.
func beliefAbout(ctx context.Context, node netip.Addr) (mtu int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(node, 9).String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if node.Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	failed := raw.Control(func(fd uintptr) { mtu, err = unix.GetsockoptInt(int(fd), level, option) })
	return mtu, errors.Join(failed, err)
}

// openPing opens a raw socket that sends whole packets or none.
func openPing(ctx context.Context, from, node netip.Addr) (net.PacketConn, error) {
	network, level, option, probe := "ip4:icmp", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if node.Is6() {
		network, level, option, probe = "ip6:ipv6-icmp", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	own := ""
	if from.Is6() == node.Is6() && from.IsValid() {
		own = from.String()
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, probe) })
		return errors.Join(failed, err)
	}}
	conn, err := lc.ListenPacket(ctx, network, own)
	if errors.Is(err, syscall.EPERM) {
		err = fmt.Errorf("it takes the capability CAP_NET_RAW: %w", err)
	}
	return conn, err
}

// ping tells whether an echo of so many bytes comes back.
func ping(conn net.PacketConn, node netip.Addr, size int) (bool, error) {
	id, buffer := rand.IntN(1<<16), make([]byte, 1<<16) //nolint:gosec // told from pings of others, not secret
	var request icmp.Type = ipv4.ICMPTypeEcho
	if node.Is6() {
		request = ipv6.ICMPTypeEchoRequest
	}
	for try := range pingTries {
		m := icmp.Message{Type: request, Body: &icmp.Echo{ID: id, Seq: try, Data: make([]byte, size)}}
		packet, err := m.Marshal(nil) // the kernel sums up those of IPv6
		if err != nil {
			return false, err
		}
		if _, err := conn.WriteTo(packet, &net.IPAddr{IP: node.AsSlice(), Zone: node.Zone()}); errors.Is(err, syscall.EMSGSIZE) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if answered(conn, node, id, buffer) {
			return true, nil
		}
	}
	return false, nil
}

// answered waits for the echo with an id.
func answered(conn net.PacketConn, node netip.Addr, id int, buffer []byte) bool {
	_ = conn.SetReadDeadline(time.Now().Add(pingTime)) // it does not fail on an open socket
	protocol := 1
	if node.Is6() {
		protocol = 58
	}
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return false
		}
		m, err := icmp.ParseMessage(protocol, buffer[:n])
		if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && echo.ID == id {
			return true
		}
	}
}
