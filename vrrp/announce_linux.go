package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
)

const (
	etherTypeARP = 0x0806
	arpRequest   = 1
	arpReply     = 2
)

// announcer tells the neighbours on one interface who has an address now. nil sockets
// are of families that no address is of.
type announcer struct {
	link *net.Interface
	arp  *packet.Conn
	ndp  *ndp.Conn
}

// announcers are those of several interfaces, by their numbers.
type announcers map[int]*announcer

// openAnnouncers opens what announcing the addresses takes.
func openAnnouncers(list []place) (announcers, error) {
	all := announcers{}
	for _, p := range list {
		a := all[p.Index]
		if a == nil {
			link, err := net.InterfaceByIndex(p.Index)
			if err != nil {
				all.close()
				return nil, fmt.Errorf("interface %s: %w", p.On, err)
			}
			a = &announcer{link: link}
			all[p.Index] = a
		}
		if err := a.open(p.Prefix.Addr()); err != nil {
			all.close()
			return nil, fmt.Errorf("open a socket for announcements on %s: %w", p.On, explained(err))
		}
	}
	return all, nil
}

// announce sends for every address a gratuitous ARP, as request and as reply, since
// some neighbours believe the one and some the other, or an unsolicited neighbour
// advertisement (RFC 9568 section 6.4.2). One that fails does not keep the others back.
func (all announcers) announce(list []place) error {
	var errs []error
	for _, a := range all {
		for _, c := range a.sockets() {
			errs = append(errs, c.SetWriteDeadline(time.Now().Add(sendTime)))
		}
	}
	for _, p := range list {
		if a := all[p.Index]; a != nil {
			errs = append(errs, a.announce(p.Prefix.Addr()))
		}
	}
	return errors.Join(errs...)
}

func (all announcers) close() {
	for _, a := range all {
		a.close()
	}
}

// open opens the socket for the family of an address.
func (a *announcer) open(addr netip.Addr) (err error) {
	switch {
	case addr.Is4() && a.arp == nil:
		// Protocol 0: nothing is received.
		a.arp, err = packet.Listen(a.link, packet.Raw, 0, nil)
	case addr.Is6() && a.ndp == nil:
		a.ndp, err = listenNDP(a.link)
	}
	return err
}

// listenNDP opens a socket for neighbour discovery. The interface goes by its number, which
// another one of that name has not.
func listenNDP(link *net.Interface) (*ndp.Conn, error) {
	numbered := *link
	numbered.Name = zone(link)
	c, _, err := ndp.Listen(&numbered, ndp.LinkLocal)
	return c, err
}

func (a *announcer) announce(addr netip.Addr) error {
	if addr.Is6() {
		return a.advertise(addr)
	}
	var errs []error
	for _, op := range []uint16{arpRequest, arpReply} {
		_, err := a.arp.WriteTo(gratuitousARP(op, a.link.HardwareAddr, addr), &packet.Addr{HardwareAddr: broadcast()})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func broadcast() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// gratuitousARP is an Ethernet frame in which the owner of an address asks for it or
// answers for it (RFC 826, RFC 5227 section 3).
func gratuitousARP(op uint16, own net.HardwareAddr, addr netip.Addr) []byte {
	target := net.HardwareAddr{0, 0, 0, 0, 0, 0}
	if op == arpReply {
		target = broadcast()
	}
	b := append(broadcast(), own...)
	b = binary.BigEndian.AppendUint16(b, etherTypeARP)
	b = append(b, 0, 1, 8, 0, 6, 4) // Ethernet, IPv4 and the lengths of their addresses
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, own...), addr.AsSlice()...)
	return append(append(b, target...), addr.AsSlice()...)
}

// advertise sends to all nodes: Override has them forget who had the address before
// (RFC 4861 section 4.4).
func (a *announcer) advertise(addr netip.Addr) error {
	return a.ndp.WriteTo(&ndp.NeighborAdvertisement{
		Router: true, Override: true, TargetAddress: addr,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: a.link.HardwareAddr}},
	}, nil, netip.IPv6LinkLocalAllNodes())
}

func (a *announcer) close() {
	for _, c := range a.sockets() {
		_ = c.Close() // nothing waits to be sent
	}
}

// socket is what all of them can do.
type socket interface {
	SetWriteDeadline(t time.Time) error
	Close() error
}

// sockets are those that are open.
func (a *announcer) sockets() (list []socket) {
	if a.arp != nil {
		list = append(list, a.arp)
	}
	if a.ndp != nil {
		list = append(list, a.ndp)
	}
	return list
}
