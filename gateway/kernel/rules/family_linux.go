package rules

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// family is what IPv4 and IPv6 differ in. Registers are those that nft takes: the
// address in the first, the port right behind it.
type family struct {
	suffix   string
	proto    byte // as nftables counts families
	src, dst uint32
	size     uint32
	port     uint32 // register
	addr     nftables.SetDatatype
}

var (
	ip4 = family{suffix: "4", proto: unix.NFPROTO_IPV4, src: 12, dst: 16, size: 4, port: unix.NFT_REG32_01, addr: nftables.TypeIPAddr}
	ip6 = family{suffix: "6", proto: unix.NFPROTO_IPV6, src: 8, dst: 24, size: 16, port: unix.NFT_REG_2, addr: nftables.TypeIP6Addr}
)

// familyOf is an address's family.
func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ip4
	}
	return ip6
}

// pair is the type of an address with a port.
func (f family) pair() nftables.SetDatatype {
	return nftables.MustConcatSetType(f.addr, nftables.TypeInetService)
}

// The names of what there is of each family.
func (f family) allowed() string { return "allowed" + f.suffix }
func (f family) grants() string  { return "grants" + f.suffix }
func (f family) limits() string  { return "limits" + f.suffix }
func (f family) clients() string { return "clients" + f.suffix }
func (f family) relayed() string { return "relayed" + f.suffix }

// is matches packets of the family.
func (f family) is() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equals(1, []byte{f.proto})}
}

// source and destination load an address of the packet into the first register.
func (f family) source() expr.Any      { return f.load(f.src) }
func (f family) destination() expr.Any { return f.load(f.dst) }

func (f family) load(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.size}
}

// clientAndPort loads the key of a grant.
func (f family) clientAndPort() []expr.Any {
	return join(f.is(), tcp(), one(f.source()), one(&expr.Payload{
		DestRegister: f.port, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2,
	}))
}

// isRelayed matches packets of clients whom a socket of this host serves on that port.
func (f family) isRelayed() []expr.Any {
	return join(f.is(), one(f.source(), lookup(f.allowed(), func(*expr.Lookup) {})),
		f.clientAndPort(), one(lookup(f.relayed(), func(*expr.Lookup) {})))
}

// from and to match packets by one of their addresses.
func from(a netip.Addr) []expr.Any {
	f := familyOf(a)
	return join(f.is(), one(f.source(), equals(1, a.AsSlice())))
}

func to(a netip.Addr) []expr.Any {
	f := familyOf(a)
	return join(f.is(), one(f.destination(), equals(1, a.AsSlice())))
}
