package kernel

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"vdi-gateway/tests/lab"
)

// What a TCP header may say.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// stranger sends packets that belong to nothing.
type stranger struct {
	host *lab.Host
	from netip.Addr
	conn *net.IPConn
}

func (r *rig) newStranger(h *lab.Host, from netip.Addr) *stranger {
	r.t.Helper()
	s := &stranger{host: h, from: from}
	r.try(h.Do(func() (err error) {
		network := "ip4:tcp"
		if from.Is6() {
			network = "ip6:tcp"
		}
		s.conn, err = net.ListenIP(network, &net.IPAddr{IP: from.AsSlice()})
		return err
	}))
	r.t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// send sends one packet. What the kernel says about the host is no matter.
func (s *stranger) send(to netip.AddrPort, port uint16, flags byte, data string) error {
	segment := make([]byte, 20, 20+len(data))
	binary.BigEndian.PutUint16(segment, port)
	binary.BigEndian.PutUint16(segment[2:], to.Port())
	binary.BigEndian.PutUint32(segment[4:], 0x12345678)
	if flags&ack != 0 {
		binary.BigEndian.PutUint32(segment[8:], 0x9abcdef0)
	}
	segment[12], segment[13] = 5<<4, flags
	binary.BigEndian.PutUint16(segment[14:], 64240)
	segment = append(segment, data...)
	binary.BigEndian.PutUint16(segment[16:], checksum(s.from, to.Addr(), segment))
	_, err := s.conn.WriteToIP(segment, &net.IPAddr{IP: to.Addr().AsSlice()})
	if errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENOBUFS) {
		err = nil
	}
	return err
}

// checksum is that of TCP with its pseudo-header, which has the same sum for both families.
func checksum(from, to netip.Addr, segment []byte) uint16 {
	sum := uint32(syscall.IPPROTO_TCP) + uint32(len(segment))
	for _, part := range [][]byte{from.AsSlice(), to.AsSlice(), segment} {
		for i, b := range part {
			sum += uint32(b) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// volley sends one packet of each kind to every port that the settings give to grants, at
// all addresses.
func (s *stranger) volley(addrs []netip.Addr, first, last uint16) error {
	for _, a := range addrs {
		for port := first; port <= last; port++ {
			to := netip.AddrPortFrom(a, port)
			for i, kind := range []struct {
				flags byte
				data  string
			}{
				{syn, ""},
				{ack, ""},
				{rst, ""},
				{rst | ack, ""},
				{fin | ack, ""},
				{syn | ack, ""},
				{psh | ack, "a stranger's words"},
				{0, ""},
			} {
				if err := s.send(to, 40000+uint16(i), kind.flags, kind.data); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// bother sends volleys until the answer is called, which tells how many there were.
func (s *stranger) bother(r *rig, addrs []netip.Addr, first, last uint16) (stop func() int) {
	quit := make(chan struct{})
	var all sync.WaitGroup
	n := 0
	all.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(pace):
			}
			if err := s.volley(addrs, first, last); err != nil {
				r.t.Errorf("the stranger: %v", err)
				return
			}
			n++
		}
	})
	return func() int {
		close(quit)
		all.Wait()
		return n
	}
}
