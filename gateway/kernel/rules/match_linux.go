package rules

import (
	"bytes"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A rule is made of these, each a piece as nft would write it. They use the first
// registers and leave nothing in them.

func one(e ...expr.Any) []expr.Any { return e }

func join(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

func equals(register uint32, data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

func number(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }

func port(n uint16) []byte { return binaryutil.BigEndian.PutUint16(n) }

// tcp matches TCP.
func tcp() []expr.Any {
	return one(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals(1, []byte{unix.IPPROTO_TCP}))
}

// toPorts matches TCP to a range of ports.
func toPorts(first, last uint16) []expr.Any {
	return join(tcp(), one(
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: port(first)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: port(last)}))
}

// begins matches TCP packets that ask for a connection, notBegins all others.
func begins() []expr.Any    { return join(tcp(), flags(expr.CmpOpEq)) }
func notBegins() []expr.Any { return join(tcp(), flags(expr.CmpOpNeq)) }

func flags(op expr.CmpOp) []expr.Any {
	const fin, syn, rst, ack = 1, 2, 4, 16
	return one(
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{fin | syn | rst | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{syn}})
}

// state matches packets in one of conntrack's states.
func state(bits uint32) []expr.Any {
	return one(
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: number(bits), Xor: number(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: number(0)})
}

// flowMark matches by the mark of the flow, packetMark by that of the packet.
func flowMark(mark uint32) []expr.Any {
	return one(&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, equals(1, number(mark)))
}

func packetMark(mark uint32) []expr.Any {
	return one(&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, equals(1, number(mark)))
}

// arrives matches by the interface a packet came by; "" is any.
func arrives(name string) []expr.Any {
	if name == "" {
		return nil
	}
	padded := append([]byte(name), bytes.Repeat([]byte{0}, unix.IFNAMSIZ-len(name))...)
	return one(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equals(1, padded))
}

// counted counts with a named counter.
func counted(name string) []expr.Any {
	return one(&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: name})
}

func verdict(kind expr.VerdictKind) []expr.Any { return one(&expr.Verdict{Kind: kind}) }

func goTo(chain string) []expr.Any {
	return one(&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain})
}

// reset answers with a TCP reset.
func reset() []expr.Any {
	return one(&expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
}
