package conntrack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// message is one of those in a datagram. body is what follows the header.
type message struct {
	kind, flags    uint16
	sequence, port uint32
	body           []byte
}

// nextMessage cuts the first message off a datagram; ok is false at its end.
func nextMessage(b []byte) (m message, rest []byte, ok bool, err error) {
	if len(b) == 0 {
		return message{}, nil, false, nil
	}
	if len(b) < headerLen {
		return message{}, nil, false, fmt.Errorf("%w: %d bytes for a header", ErrMalformed, len(b))
	}
	length := int64(binary.NativeEndian.Uint32(b))
	if length < headerLen || length > int64(len(b)) {
		return message{}, nil, false, fmt.Errorf("%w: says %d bytes and has %d", ErrMalformed, length, len(b))
	}
	m = message{
		kind:     binary.NativeEndian.Uint16(b[4:]),
		flags:    binary.NativeEndian.Uint16(b[6:]),
		sequence: binary.NativeEndian.Uint32(b[8:]),
		port:     binary.NativeEndian.Uint32(b[12:]),
		body:     b[headerLen:length],
	}
	return m, b[min(align(int(length)), len(b)):], true, nil
}

// code is what an error message says: 0 or the negated number of an error.
func (m message) code() (int32, error) {
	if len(m.body) < 4 {
		return 0, fmt.Errorf("%w: an error without a number", ErrMalformed)
	}
	return int32(binary.NativeEndian.Uint32(m.body)), nil
}

func align(n int) int { return (n + 3) &^ 3 }

// attributes walks along attributes; bad is set when they are not built as they should.
type attributes struct {
	rest []byte
	bad  bool
}

func (a *attributes) next() (kind uint16, value []byte, ok bool) {
	if len(a.rest) == 0 {
		return 0, nil, false
	}
	if len(a.rest) < attrLen {
		return a.fail()
	}
	length := int(binary.NativeEndian.Uint16(a.rest))
	if length < attrLen || length > len(a.rest) {
		return a.fail()
	}
	kind = binary.NativeEndian.Uint16(a.rest[2:]) &^ (attrNested | attrOrder)
	value = a.rest[attrLen:length]
	a.rest = a.rest[min(align(length), len(a.rest)):]
	return kind, value, true
}

func (a *attributes) fail() (uint16, []byte, bool) {
	a.rest, a.bad = nil, true
	return 0, nil, false
}

// The values; one of another length is malformed.

func (a *attributes) u8(v []byte) uint8 {
	if len(v) != 1 {
		a.bad = true
		return 0
	}
	return v[0]
}

func (a *attributes) u16(v []byte) uint16 {
	if len(v) != 2 {
		a.bad = true
		return 0
	}
	return binary.BigEndian.Uint16(v)
}

func (a *attributes) u32(v []byte) uint32 {
	if len(v) != 4 {
		a.bad = true
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

func (a *attributes) u64(v []byte) uint64 {
	if len(v) != 8 {
		a.bad = true
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func (a *attributes) addr(v []byte, length int) netip.Addr {
	addr, ok := netip.AddrFromSlice(v)
	if !ok || len(v) != length {
		a.bad = true
	}
	return addr
}

// parseFlow reads what follows the header of a message about an entry. Without an error
// and with ours false it is an entry of another protocol than TCP, or one that no client
// can have, such as port 0. It keeps nothing of body and, for a flow of ours, allocates
// nothing.
func parseFlow(body []byte) (f Flow, ours bool, err error) {
	if len(body) < genLen {
		return Flow{}, false, fmt.Errorf("%w: %d bytes", ErrMalformed, len(body))
	}
	a := attributes{rest: body[genLen:]}
	proto, answer := uint8(0), uint8(0)
	for kind, v, ok := a.next(); ok; kind, v, ok = a.next() {
		switch kind {
		case ctaTupleOrig:
			f.Orig, proto = a.tuple(v)
		case ctaTupleReply:
			f.Reply, answer = a.tuple(v)
		default:
			a.field(&f, kind, v)
		}
	}
	if a.bad {
		return Flow{}, false, ErrMalformed
	}
	if proto != tcp || answer != tcp || f.valid() != nil {
		return Flow{}, false, nil
	}
	return f, true, nil
}

// field reads what is not a tuple.
func (a *attributes) field(f *Flow, kind uint16, v []byte) {
	switch kind {
	case ctaStatus:
		f.Status = Status(a.u32(v))
	case ctaTimeout:
		f.Timeout = time.Duration(a.u32(v)) * time.Second
	case ctaMark:
		f.Mark = a.u32(v)
	case ctaZone:
		f.Zone = a.u16(v)
	case ctaID:
		f.ID = a.u32(v)
	case ctaProtoInfo:
		f.State, f.First = a.state(v)
	case ctaCountersOrig:
		f.Sent, f.Counted = a.counters(v), true
	case ctaCountersReply:
		f.Back, f.Counted = a.counters(v), true
	case ctaTimestamp:
		f.Start = a.start(v)
	}
}

// tuple reads a tuple and its protocol.
func (a *attributes) tuple(b []byte) (t Tuple, proto uint8) {
	var src, dst netip.Addr
	var from, to uint16
	in := attributes{rest: b}
	for kind, v, ok := in.next(); ok; kind, v, ok = in.next() {
		switch kind {
		case ctaTupleIP:
			src, dst = in.addrs(v)
		case ctaTupleProto:
			proto, from, to = in.ports(v)
		}
	}
	a.bad = a.bad || in.bad
	return Tuple{Src: netip.AddrPortFrom(src, from), Dst: netip.AddrPortFrom(dst, to)}, proto
}

func (a *attributes) addrs(b []byte) (src, dst netip.Addr) {
	in := attributes{rest: b}
	for kind, v, ok := in.next(); ok; kind, v, ok = in.next() {
		switch kind {
		case ctaIP4Src:
			src = in.addr(v, 4)
		case ctaIP4Dst:
			dst = in.addr(v, 4)
		case ctaIP6Src:
			src = in.addr(v, 16)
		case ctaIP6Dst:
			dst = in.addr(v, 16)
		}
	}
	a.bad = a.bad || in.bad
	return src, dst
}

func (a *attributes) ports(b []byte) (proto uint8, from, to uint16) {
	in := attributes{rest: b}
	for kind, v, ok := in.next(); ok; kind, v, ok = in.next() {
		switch kind {
		case ctaProtoNum:
			proto = in.u8(v)
		case ctaProtoSrcPort:
			from = in.u16(v)
		case ctaProtoDstPort:
			to = in.u16(v)
		}
	}
	a.bad = a.bad || in.bad
	return proto, from, to
}

func (a *attributes) state(b []byte) (s State, first Side) {
	in := attributes{rest: b}
	for kind, v, ok := in.next(); ok; kind, v, ok = in.next() {
		if kind != ctaProtoInfoTCP {
			continue
		}
		info := attributes{rest: v}
		for kind, v, ok := info.next(); ok; kind, v, ok = info.next() {
			switch {
			case kind == ctaTCPState:
				s = State(info.u8(v))
			case kind == ctaTCPFlagsOrig && len(v) > 0 && v[0]&tcpCloseInit != 0:
				first = ClientSide
			case kind == ctaTCPFlagsReply && len(v) > 0 && v[0]&tcpCloseInit != 0:
				first = VMSide
			}
		}
		in.bad = in.bad || info.bad
	}
	a.bad = a.bad || in.bad
	return s, first
}

func (a *attributes) counters(b []byte) (c Counters) {
	in := attributes{rest: b}
	for kind, v, ok := in.next(); ok; kind, v, ok = in.next() {
		switch kind {
		case ctaCountPackets:
			c.Packets = in.u64(v)
		case ctaCountBytes:
			c.Bytes = in.u64(v)
		}
	}
	a.bad = a.bad || in.bad
	return c
}

func (a *attributes) start(b []byte) (t time.Time) {
	in := attributes{rest: b}
	for kind, v, ok := in.next(); ok; kind, v, ok = in.next() {
		if kind == ctaTimeStart {
			t = time.Unix(0, int64(in.u64(v)))
		}
	}
	a.bad = a.bad || in.bad
	return t
}
