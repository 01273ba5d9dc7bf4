package relay

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// The PROXY protocol, version 2, of HAProxy: what a balancer says about a client
// in front of its first byte. See proxy-protocol.txt, section 2.2.

const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	headerSize = 16 // signature, version and command, family, length
	// headerMax bounds a whole header: room for addresses and some TLVs.
	headerMax = 1024

	commandLocal = 0x20
	commandProxy = 0x21
	tcp4, tcp6   = 0x11, 0x21
	typeCRC      = 0x03 // PP2_TYPE_CRC32C
	typeHops     = 0xe0 // ours: PP2_TYPE_MIN_CUSTOM
	tlvSize      = 3    // type and length
)

// Visitor is who knocks at a door.
type Visitor struct {
	Client netip.AddrPort // the client itself
	// Via is the peer that spoke for the client by a PROXY header; invalid:
	// the client came itself.
	Via  netip.Addr
	Hops uint8 // how many nodes the client came through already
}

var (
	errHeader = errors.New("no PROXY header, or one that is not understood")
	errShort  = errors.New("the PROXY header is not complete yet")
)

// header is a parsed header.
type header struct {
	size   int  // bytes of the stream that it took
	local  bool // the peer speaks for itself: a check of its own
	client netip.AddrPort
	hops   uint8
}

// Header is what tells a node, in front of a client's first byte, who the client
// is and where it had knocked. hops are the nodes it came through.
func Header(client, local netip.AddrPort, hops uint8) []byte {
	from, to, family := client.Addr().Unmap(), local.Addr().Unmap(), byte(tcp4)
	b := append([]byte(signature), commandProxy, 0, 0, 0)
	if from.Is4() && to.Is4() {
		b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	} else {
		family = tcp6
		src, dst := from.As16(), to.As16()
		b = append(append(b, src[:]...), dst[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, client.Port())
	b = binary.BigEndian.AppendUint16(b, local.Port())
	if hops > 0 {
		b = append(b, typeHops, 0, 1, hops)
	}
	b[13] = family
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-headerSize)) //nolint:gosec // at most 40
	return b
}

// parseHeader reads the header at the beginning of b. It is errShort while b
// could become one by more bytes.
func parseHeader(b []byte) (header, error) {
	n := min(len(b), len(signature))
	if string(b[:n]) != signature[:n] {
		return header{}, errHeader
	}
	if len(b) < headerSize {
		return header{}, errShort
	}
	h := header{size: headerSize + int(binary.BigEndian.Uint16(b[14:]))}
	h.local = b[12] == commandLocal
	switch {
	case h.size > headerMax, !h.local && b[12] != commandProxy:
		return header{}, errHeader
	case len(b) < h.size:
		return header{}, errShort
	case h.local:
		return h, nil
	}
	rest, err := h.addresses(b[13], b[headerSize:h.size])
	if err != nil {
		return header{}, err
	}
	return h, h.extras(b[:h.size], h.size-len(rest))
}

// addresses reads the client's address and returns what follows the addresses.
func (h *header) addresses(family byte, b []byte) ([]byte, error) {
	size := map[byte]int{tcp4: 4, tcp6: 16}[family]
	if size == 0 || len(b) < 2*size+4 {
		return nil, errHeader
	}
	from, _ := netip.AddrFromSlice(b[:size])
	h.client = netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(b[2*size:]))
	return b[2*size+4:], nil
}

// extras reads the type-length-values of a whole header, which begin at offset.
func (h *header) extras(whole []byte, offset int) error {
	for offset < len(whole) {
		b := whole[offset:]
		if len(b) < tlvSize || len(b) < tlvSize+int(binary.BigEndian.Uint16(b[1:])) {
			return errHeader
		}
		value := b[tlvSize : tlvSize+int(binary.BigEndian.Uint16(b[1:]))]
		switch {
		case b[0] == typeCRC && !checked(whole, offset+tlvSize, value):
			return errHeader
		case b[0] == typeHops && len(value) == 1:
			h.hops = value[0]
		}
		offset += tlvSize + len(value)
	}
	return nil
}

// checked compares the checksum at offset with that of the header in which it is
// zero.
func checked(whole []byte, offset int, sum []byte) bool {
	if len(sum) != crc32.Size {
		return false
	}
	blank := append([]byte(nil), whole...)
	clear(blank[offset : offset+crc32.Size])
	return binary.BigEndian.Uint32(sum) == crc32.Checksum(blank, crc32.MakeTable(crc32.Castagnoli))
}
