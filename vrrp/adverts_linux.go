package vrrp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	// packetMax is more than 255 addresses of IPv6 take.
	packetMax = 8 << 10
	// control marks packets as urgent for switches and queues: CS6, as routing
	// protocols do (RFC 4594 section 3.1).
	control = 0xc0
	// sendTime bounds what a full queue of an interface may keep us.
	sendTime = 5 * time.Millisecond
)

// adverts is a raw socket for advertisements on one interface. Its methods may be
// called from two goroutines, one that sends and one that receives.
type adverts struct {
	conn   net.PacketConn
	four   *ipv4.PacketConn // one of the two
	six    *ipv6.PacketConn
	link   *net.Interface
	buffer [packetMax]byte // receive's
}

// openAdverts opens the socket for the family of source, to send from it.
func openAdverts(on string, source netip.Addr) (*adverts, error) {
	link, err := net.InterfaceByName(on)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", on, err)
	}
	network, own := "ip4:", "0.0.0.0"
	if source.Is6() {
		network, own = "ip6:", "::"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return bindTo(c, on) }}
	conn, err := lc.ListenPacket(context.Background(), network+strconv.Itoa(Protocol), own)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket on %s: %w", on, explained(err))
	}
	a := &adverts{conn: conn, link: link}
	if source.Is6() {
		a.six = ipv6.NewPacketConn(conn)
		err = a.prepare6()
	} else {
		a.four = ipv4.NewPacketConn(conn)
		err = a.prepare4()
	}
	if err != nil {
		a.close()
		return nil, fmt.Errorf("prepare the raw socket on %s: %w", on, err)
	}
	return a, nil
}

// bindTo keeps other interfaces out.
func bindTo(c syscall.RawConn, on string) error {
	var bound error
	err := c.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), on) })
	if err != nil {
		return err
	}
	return bound
}

func (a *adverts) prepare4() error {
	return firstError(
		a.four.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true),
		a.four.SetMulticastInterface(a.link), a.four.SetMulticastTTL(hopLimit), a.four.SetMulticastLoopback(false),
		a.four.SetTTL(hopLimit), a.four.SetTOS(control))
}

func (a *adverts) prepare6() error {
	return firstError(
		a.six.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true),
		a.six.SetMulticastInterface(a.link), a.six.SetMulticastHopLimit(hopLimit), a.six.SetMulticastLoopback(false),
		a.six.SetHopLimit(hopLimit), a.six.SetTrafficClass(control))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// join hears what is sent to a multicast address.
func (a *adverts) join(group netip.Addr) error {
	to := &net.IPAddr{IP: group.AsSlice()}
	if a.four != nil {
		return a.four.JoinGroup(a.link, to)
	}
	return a.six.JoinGroup(a.link, to)
}

// deafen has the socket receive nothing: what nobody reads would only fill it.
func (a *adverts) deafen() error {
	none, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return err
	}
	if a.four != nil {
		return a.four.SetBPF(none)
	}
	return a.six.SetBPF(none)
}

// send sends one advertisement.
func (a *adverts) send(d datagram) error {
	to := &net.IPAddr{IP: d.To.AsSlice()}
	err := a.conn.SetWriteDeadline(time.Now().Add(sendTime))
	if err != nil {
		return err
	}
	if a.four != nil {
		_, err = a.four.WriteTo(d.Data, &ipv4.ControlMessage{Src: d.From.AsSlice(), IfIndex: a.link.Index}, to)
	} else {
		if d.To.IsLinkLocalUnicast() || d.To.IsLinkLocalMulticast() {
			to.Zone = zone(a.link)
		}
		_, err = a.six.WriteTo(d.Data, &ipv6.ControlMessage{Src: d.From.AsSlice(), IfIndex: a.link.Index}, to)
	}
	return err
}

// zone is an interface by its number: those by name are looked up in a list that may
// be a minute old.
func zone(link *net.Interface) string { return strconv.Itoa(link.Index) }

// receive waits for a packet; an error means that the socket is closed or of no use
// any more. The caller owns the packet.
func (a *adverts) receive() (Packet, error) {
	var p Packet
	var from net.Addr
	var n int
	var err error
	if a.four != nil {
		var cm *ipv4.ControlMessage
		if n, cm, from, err = a.four.ReadFrom(a.buffer[:]); err == nil && cm != nil {
			p.Hops, p.To = cm.TTL, addrOf(cm.Dst)
		}
	} else {
		var cm *ipv6.ControlMessage
		if n, cm, from, err = a.six.ReadFrom(a.buffer[:]); err == nil && cm != nil {
			p.Hops, p.To = cm.HopLimit, addrOf(cm.Dst)
		}
	}
	if err != nil {
		return p, err
	}
	if ip, ok := from.(*net.IPAddr); ok {
		p.From = addrOf(ip.IP)
	}
	p.Data = append([]byte(nil), a.buffer[:n]...)
	return p, nil
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

func (a *adverts) close() { _ = a.conn.Close() } // nothing waits to be sent
