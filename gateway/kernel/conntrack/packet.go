package conntrack

import (
	"encoding/binary"
)

const (
	ip4Len = 20
	ip6Len = 40
	tcpLen = 20
	synBit = 1 << 1
	ackBit = 1 << 4
	hops   = 64
)

// syn is a bare SYN with its IP header, as if t.Src had sent it. A host that has the
// connection takes it for a stray or forged one, whatever its number, and answers with an
// ACK that says where it is (RFC 5961 section 4.2).
func syn(t Tuple) []byte { return bare(t, synBit) }

// stray is a bare ACK that fits no connection, as if t.Src had sent it. A host that has
// the connection answers with an ACK, too (RFC 9293 section 3.10.7.4), one that has not
// with a reset.
func stray(t Tuple) []byte { return bare(t, ackBit) }

// bare is a segment that carries nothing.
func bare(t Tuple, flags byte) []byte {
	if t.Is4() {
		return bare4(t, flags)
	}
	return bare6(t, flags)
}

func bare4(t Tuple, flags byte) []byte {
	src, dst := t.Src.Addr().As4(), t.Dst.Addr().As4()
	p := make([]byte, ip4Len+tcpLen)
	p[0] = 4<<4 | ip4Len/4
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[8], p[9] = hops, tcp
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	binary.BigEndian.PutUint16(p[10:], checksum(0, p[:ip4Len]))
	segment(p[ip4Len:], t, flags, p[12:20])
	return p
}

func bare6(t Tuple, flags byte) []byte {
	src, dst := t.Src.Addr().As16(), t.Dst.Addr().As16()
	p := make([]byte, ip6Len+tcpLen)
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], tcpLen)
	p[6], p[7] = tcp, hops
	copy(p[8:], src[:])
	copy(p[24:], dst[:])
	segment(p[ip6Len:], t, flags, p[8:40])
	return p
}

// segment fills in TCP's header; addresses are those of the pseudo-header.
func segment(p []byte, t Tuple, flags byte, addresses []byte) {
	binary.BigEndian.PutUint16(p, t.Src.Port())
	binary.BigEndian.PutUint16(p[2:], t.Dst.Port())
	p[12], p[13] = tcpLen/4<<4, flags
	binary.BigEndian.PutUint16(p[14:], 1024)
	sum := uint32(tcp + tcpLen)
	for i := 0; i < len(addresses); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(addresses[i:]))
	}
	binary.BigEndian.PutUint16(p[16:], checksum(sum, p))
}

// checksum is that of RFC 1071 over an even number of bytes, begun with sum.
func checksum(sum uint32, p []byte) uint16 {
	for i := 0; i < len(p); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
