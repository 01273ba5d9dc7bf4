package vrrp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dumpTries is how often a list that changed while it was read is read again.
const dumpTries = 5

// addresses changes those of the host's interfaces.
type addresses struct{ netlink *netlink.Handle }

func newAddresses() (*addresses, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("vrrp: netlink: %w", err)
	}
	if err := h.SetStrictCheck(true); err != nil {
		h.Close()
		return nil, fmt.Errorf("vrrp: netlink: %w", err)
	}
	return &addresses{h}, nil
}

func (a *addresses) close() { a.netlink.Close() }

// put adds the addresses of an order to their interfaces, or begins their lives again.
func (a *addresses) put(o order) error {
	for _, p := range o.Places {
		if err := a.netlink.AddrReplace(numbered(p.Index), living(p.Prefix)); err != nil {
			return fmt.Errorf("add %s to %s: %w", p.Prefix, p.On, explained(err))
		}
	}
	return nil
}

// numbered is an interface as far as addresses are concerned.
func numbered(index int) netlink.Link {
	return &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// living is an address as the kernel takes it. One of IPv6 is good at once, without
// looking for a double, and never chosen as a source: it is deprecated.
func living(p netip.Prefix) *netlink.Addr {
	addr := &netlink.Addr{IPNet: ipNet(p), ValidLft: int(addressLife.Seconds()), PreferedLft: int(addressLife.Seconds())}
	if p.Addr().Is6() {
		addr.PreferedLft = 0
		addr.Flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE
	}
	return addr
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// remove takes the addresses away from whatever interface has them, and returns those
// that were there.
func (a *addresses) remove(list []netip.Prefix) (found []netip.Addr, err error) {
	present, err := a.present()
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		for _, have := range present {
			if ip, _ := netip.AddrFromSlice(have.IP); ip.Unmap() != p.Addr() {
				continue
			}
			gone := a.netlink.AddrDel(numbered(have.LinkIndex), &netlink.Addr{IPNet: have.IPNet})
			switch {
			case gone == nil:
				found = append(found, p.Addr())
			case !errors.Is(gone, unix.EADDRNOTAVAIL) && !errors.Is(gone, unix.ENODEV): // gone meanwhile
				err = errors.Join(err, fmt.Errorf("remove %s: %w", p, explained(gone)))
			}
		}
	}
	return found, err
}

func (a *addresses) present() (list []netlink.Addr, err error) {
	for range dumpTries {
		list, err = a.netlink.AddrList(nil, netlink.FAMILY_ALL)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("list the addresses: %w", err)
	}
	return list, err
}

// Release removes addresses from this host, on whatever interface they are, and
// returns those that were there: for when guard and process have ended.
func Release(list []netip.Prefix) ([]netip.Addr, error) {
	a, err := newAddresses()
	if err != nil {
		return nil, err
	}
	defer a.close()
	return a.remove(list)
}

// explained names the capability that is missing.
func explained(err error) error {
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w: %w", ErrNotPermitted, err)
	}
	return err
}

// ErrNotPermitted is that this process may not do what moving an address takes.
var ErrNotPermitted = errors.New("needs the capabilities CAP_NET_ADMIN and CAP_NET_RAW: run as root, " +
	"or grant them (AmbientCapabilities= in the systemd unit, or setcap cap_net_admin,cap_net_raw+ep on the binary)")
