package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// condemn gives every flow of a client the mark of those that are to end.
func (r *rig) condemn(client netip.Addr) {
	r.t.Helper()
	family := "ipv4"
	if client.Is6() {
		family = "ipv6"
	}
	r.command(r.gateway, "conntrack", "-U", "-f", family, "-s", client.String(), "--mark", fmt.Sprint(endMark))
}

// vmEnd is the VM's end of a session.
func (d *desktop) vmEnd(s *session) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conns[s.seen]
}

// isReset fails unless the connection ends by a reset.
func isReset(t *testing.T, what string, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := c.Read(make([]byte, 100)); err != nil {
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: got %v, want a reset", what, err)
			}
			return
		}
	}
}

func TestCondemnedFlowIsResetWhenItTalks(t *testing.T) {
	need(t, "conntrack")
	r := newRig(t)
	d := newDesktop(r)
	r.apply()
	for _, f := range families() {
		r.add(r.grant(r.client, f, 5901), r.grant(r.other, f, 5901))
		s, spared := r.mustOpen(r.client, f, 5901), r.mustOpen(r.other, f, 5901)
		r.condemn(r.client.Addrs()[f])
		_, _ = io.WriteString(s, "client")
		isReset(t, "the client talks", s)

		s = r.mustOpen(r.client, f, 5901)
		vm := d.vmEnd(s)
		r.condemn(r.client.Addrs()[f])
		_, _ = io.WriteString(vm, "vm")
		// The desktop reads this end too, and closes it once it is reset.
		eventually(t, "reset of the VM", func() bool { _, err := io.WriteString(vm, "."); return err != nil })
		r.lives("another's flow", spared)
	}
	if r.counters().Condemned == 0 {
		t.Error("got no condemned packet, want some")
	}
}

// Idle ends talk when they are asked: what asks leaves no trace in conntrack.
func TestIdleFlowIsResetOnBothSides(t *testing.T) {
	need(t, "conntrack")
	r := newRig(t)
	l, err := r.vm.Listen("10.8.0.50:5900")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.apply()
	r.add(r.grant(r.client, 0, 5901))
	c, err := r.client.Dial(netip.Addr{}, netip.AddrPortFrom(r.cfg.Virtual[0], 5901), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	vm, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	r.condemn(r.client.Addr())
	ends := func(c net.Conn) (netip.AddrPort, netip.AddrPort) {
		return netip.MustParseAddrPort(c.RemoteAddr().String()), netip.MustParseAddrPort(c.LocalAddr().String())
	}
	for _, end := range []net.Conn{c, vm} {
		from, to := ends(end)
		r.here(func() error { return spoof(from, to, endMark) })
	}
	isReset(t, "the idle client", c)
	isReset(t, "the idle VM", vm)
	if flows := r.command(r.gateway, "conntrack", "-L", "-s", "10.9.0.10"); strings.Contains(flows, "tcp") {
		t.Errorf("got %q, want no flow from the virtual address", flows)
	}
}

// spoof sends a SYN as if it came from an address, with a packet mark.
func spoof(from, to netip.AddrPort, mark int) error {
	const header, sum = 20, 36 // of IP; where TCP's checksum is
	p := make([]byte, 2*header)
	p[0], p[3], p[8], p[9] = 0x45, byte(len(p)), 64, unix.IPPROTO_TCP
	copy(p[12:], from.Addr().AsSlice())
	copy(p[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[20:], from.Port())
	binary.BigEndian.PutUint16(p[22:], to.Port())
	p[32], p[33], p[34] = header/4<<4, 2, 4 // SYN, with some window
	s := uint32(unix.IPPROTO_TCP + header)
	for i := 12; i < len(p); i += 2 {
		s += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	s = s>>16 + s&0xffff
	binary.BigEndian.PutUint16(p[sum:], ^uint16(s+s>>16))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark),
		unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()}))
}
