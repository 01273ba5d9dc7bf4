package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Protocol is the number of VRRP in the IP header (RFC 9568 section 5.1.1.4).
const Protocol = 112

const (
	typeAdvertisement = 1
	headerLen         = 8
	authLen           = 8 // authentication data at the end of version 2
	// hopLimit is the only TTL or hop limit that is sent and accepted: no router
	// has forwarded the packet (RFC 9568 section 5.1.1.3).
	hopLimit = 255
	// maxInterval fits into the 12 bits of version 3.
	maxInterval = 40950 * time.Millisecond
	centisecond = 10 * time.Millisecond
)

// VRID is a virtual router id, 1 to 255, the same on all nodes of a cluster and on
// no other router of the network.
type VRID uint8

// Checksum is a form of the checksum of version 3 over IPv4.
type Checksum string

// The two forms: Keepalived covers a pseudo-header as with IPv6, RFC 9568 the message
// alone. Both are accepted.
const (
	ChecksumPseudo Checksum = "pseudo_header"
	ChecksumRFC    Checksum = "rfc9568"
)

// Advertisement is what one VRRP message says (RFC 9568 section 5.2). Addrs are the
// virtual addresses, all of the family of the packet.
type Advertisement struct {
	Version  uint8 // 2 or 3
	VRID     VRID
	Priority uint8 // 0: resigns
	Interval time.Duration
	Addrs    []netip.Addr
}

// Marshal makes the message for a packet from one address to another.
func (a Advertisement) Marshal(form Checksum, from, to netip.Addr) []byte {
	b := make([]byte, headerLen, headerLen+16*len(a.Addrs)+authLen)
	b[0], b[1], b[2], b[3] = a.Version<<4|typeAdvertisement, byte(a.VRID), a.Priority, byte(len(a.Addrs))
	if a.Version == 2 {
		b[5] = byte(a.Interval / time.Second)
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(a.Interval/centisecond)&0xfff)
	}
	for _, addr := range a.Addrs {
		b = append(b, addr.AsSlice()...)
	}
	if a.Version == 2 {
		b = append(b, make([]byte, authLen)...)
	}
	sum := checksum(b, pseudoHeader(b, from, to, a.Version, form))
	binary.BigEndian.PutUint16(b[6:], sum)
	return b
}

// Parse reads the message of a packet. The error is a Discard that says why the
// packet is not to be heeded. Bytes after the message are ignored.
func Parse(p Packet) (Advertisement, error) {
	b := p.Data
	switch {
	case p.Hops != hopLimit:
		return Advertisement{}, DiscardHops
	case len(b) < headerLen:
		return Advertisement{}, DiscardTruncated
	case b[0]>>4 != 2 && b[0]>>4 != 3:
		return Advertisement{}, DiscardVersion
	case b[0]&0xf != typeAdvertisement:
		return Advertisement{}, DiscardType
	case b[3] == 0:
		return Advertisement{}, DiscardCount
	}
	a := Advertisement{Version: b[0] >> 4, VRID: VRID(b[1]), Priority: b[2]}
	var err error
	if a.Addrs, err = addrs(b, p.From.Is6(), a.Version); err != nil {
		return a, err
	}
	if !sumHolds(p, a.Version) {
		return a, DiscardChecksum
	}
	if a.Version == 2 {
		return a, a.readOld(p)
	}
	a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0xfff) * centisecond
	if a.Interval == 0 { // erratum 8301
		return a, DiscardInterval
	}
	return a, nil
}

// readOld reads what version 2 has in other places.
func (a *Advertisement) readOld(p Packet) error {
	a.Interval = time.Duration(p.Data[5]) * time.Second
	switch {
	case p.From.Is6():
		return DiscardFamily
	case p.Data[4] != 0: // RFC 3768 section 5.3.6: the other types are gone
		return DiscardAuth
	case a.Interval == 0:
		return DiscardInterval
	}
	return nil
}

// addrs reads the list of addresses.
func addrs(b []byte, six bool, version uint8) ([]netip.Addr, error) {
	size, tail := 4, 0
	if six {
		size = 16
	}
	if version == 2 {
		tail = authLen
	}
	count := int(b[3])
	if len(b) < headerLen+count*size+tail {
		return nil, DiscardTruncated
	}
	list := make([]netip.Addr, 0, count)
	for i := range count {
		addr, _ := netip.AddrFromSlice(b[headerLen+i*size:][:size]) // the size fits
		list = append(list, addr)
	}
	return list, nil
}

// sumHolds checks the checksum: over IPv4 either form of version 3 will do.
func sumHolds(p Packet, version uint8) bool {
	if checksum(p.Data, pseudoHeader(p.Data, p.From, p.To, version, ChecksumPseudo)) == 0 {
		return true
	}
	return p.From.Is4() && version == 3 && checksum(p.Data, 0) == 0
}

// pseudoHeader sums up what the checksum covers beside the message (RFC 9568 section
// 5.2.8, RFC 8200 section 8.1); nothing with version 2.
func pseudoHeader(b []byte, from, to netip.Addr, version uint8, form Checksum) uint32 {
	if version == 2 || from.Is4() && form == ChecksumRFC {
		return 0
	}
	return sum(to.AsSlice(), sum(from.AsSlice(), uint32(len(b))+Protocol))
}

// checksum is that of RFC 1071; 0 over a message that carries the right one.
func checksum(b []byte, initial uint32) uint16 {
	s := sum(b, initial)
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

func sum(b []byte, s uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}
