package vrrp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
)

// Owners asks the neighbours on an interface for some time who has each of some addresses,
// and returns the hardware addresses that answered. IPv4 is asked as RFC 5227 has a host
// probe: from nobody, so that no neighbour learns anything of it. The time counts from
// when the sockets are open, as for Listen.
func Owners(ctx context.Context, on string, addrs []netip.Addr, wait time.Duration) (map[netip.Addr][]string, error) {
	at, err := net.InterfaceByName(on)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", on, err)
	}
	var four, six owners
	var group errgroup.Group
	group.Go(func() (err error) { four, err = askFour(ctx, at, ofFamily(addrs, netip.Addr.Is4), wait); return err })
	group.Go(func() (err error) { six, err = askSix(ctx, at, ofFamily(addrs, netip.Addr.Is6), wait); return err })
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("ask the neighbours on %s: %w", on, explained(err))
	}
	found := owners{}
	maps.Copy(found, four)
	maps.Copy(found, six)
	return found, nil
}

// owners are hardware addresses by the address that they answered for.
type owners map[netip.Addr][]string

func (o owners) add(a netip.Addr, mac net.HardwareAddr) {
	if text := mac.String(); !slices.Contains(o[a], text) {
		o[a] = append(o[a], text)
	}
}

// probeEvery is how often a neighbour is asked that has not answered: RFC 5227 section
// 2.1.1 asks three times within some seconds, a local network needs less.
const probeEvery = 200 * time.Millisecond

func askFour(ctx context.Context, at *net.Interface, addrs []netip.Addr, wait time.Duration) (owners, error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	conn, err := packet.Listen(at, packet.Raw, etherTypeARP, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	found, frame := owners{}, make([]byte, packetMax)
	return found, probe(ctx, conn, wait, func() error {
		var errs []error
		for _, a := range addrs {
			_, err := conn.WriteTo(arpProbe(at.HardwareAddr, a), &packet.Addr{HardwareAddr: broadcast()})
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}, func() error {
		n, _, err := conn.ReadFrom(frame)
		if a, mac, ok := arpSender(frame[:n]); err == nil && ok && slices.Contains(addrs, a) && !bytes.Equal(mac, at.HardwareAddr) {
			found.add(a, mac)
		}
		return err
	})
}

// prober is a socket as probe needs it.
type prober interface {
	SetReadDeadline(t time.Time) error
}

// probe sends and receives in turns for some time.
func probe(ctx context.Context, conn prober, wait time.Duration, send, receive func() error) error {
	for end := time.Now().Add(wait); ctx.Err() == nil; {
		if err := send(); err != nil {
			return err
		}
		if err := receiveFor(conn, probeEvery, receive); err != nil {
			return err
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
	return ctx.Err()
}

// receiveFor receives for some time.
func receiveFor(conn prober, wait time.Duration, receive func() error) error {
	end := time.Now().Add(wait)
	if err := conn.SetReadDeadline(end); err != nil {
		return err
	}
	for {
		err := receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
	}
}

func ofFamily(addrs []netip.Addr, is func(netip.Addr) bool) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !is(a) })
}

// arpProbe is an ARP request from nobody (RFC 5227 section 1.1).
func arpProbe(own net.HardwareAddr, addr netip.Addr) []byte {
	b := gratuitousARP(arpRequest, own, addr)
	copy(b[28:32], []byte{0, 0, 0, 0})
	return b
}

// arpSender is who says in a frame that he has an address.
func arpSender(b []byte) (a netip.Addr, mac net.HardwareAddr, ok bool) {
	if len(b) < 42 || binary.BigEndian.Uint16(b[12:]) != etherTypeARP || !bytes.Equal(b[14:20], []byte{0, 1, 8, 0, 6, 4}) {
		return a, nil, false
	}
	a = netip.AddrFrom4([4]byte(b[28:32]))
	return a, net.HardwareAddr(bytes.Clone(b[22:28])), !a.IsUnspecified()
}

func askSix(ctx context.Context, at *net.Interface, addrs []netip.Addr, wait time.Duration) (owners, error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	conn, err := listenNDP(at)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	found := owners{}
	return found, probe(ctx, conn, wait, func() error {
		var errs []error
		for _, a := range addrs {
			group, err := ndp.SolicitedNodeMulticast(a)
			if err == nil {
				err = conn.WriteTo(&ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{
					&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: at.HardwareAddr},
				}}, nil, group)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}, func() error {
		m, _, _, err := conn.ReadFrom()
		if na, ok := m.(*ndp.NeighborAdvertisement); err == nil && ok && slices.Contains(addrs, na.TargetAddress) {
			for _, o := range na.Options {
				if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == ndp.Target {
					found.add(na.TargetAddress, l.Addr)
				}
			}
		}
		var wire *net.OpError
		if err != nil && !errors.As(err, &wire) {
			return nil // what a neighbour sent is no message
		}
		return err
	})
}

// Neighbour is the hardware address by which this host's kernel would send to an address
// on an interface; "": it knows none.
func Neighbour(on string, a netip.Addr) (string, error) {
	at, err := net.InterfaceByName(on)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", on, err)
	}
	family := netlink.FAMILY_V4
	if a.Is6() {
		family = netlink.FAMILY_V6
	}
	list, err := netlink.NeighList(at.Index, family)
	if err != nil {
		return "", fmt.Errorf("the neighbours on %s: %w", on, err)
	}
	for _, n := range list {
		if addrOf(n.IP) == a && n.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE|netlink.NUD_NOARP) == 0 {
			return n.HardwareAddr.String(), nil
		}
	}
	return "", nil
}
