package gateway

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter on a listening socket makes its port silent to everybody but the
// granted clients: a stranger's SYN is dropped before TCP sees it, so the port
// looks as if a firewall stood before it. It needs no capability. Sockets the
// listener accepts inherit the filter; dropFilter takes it off again, since it
// would look at every packet of the session and live as long.

const (
	// netOffset is SKF_NET_OFF of linux/filter.h: at the TCP layer a
	// filter's data starts at the TCP header; this reaches back to IP's.
	netOffset = 0xfff00000
	ip4Source = 12 // RFC 791 section 3.1
	ip6Source = 8  // RFC 8200 section 3
	// filterMax is BPF_MAXINSNS.
	filterMax = 4096
	// acceptAll is how many bytes of a packet a filter lets pass.
	acceptAll = 0xffffffff
	// blockMax is how many clients share one return: a jump reaches that far.
	blockMax = 255
)

// attachFilter lets only packets from clients and trusted networks reach the
// socket fd, which listens on an address of the family of local. Where they are too many for a
// filter (4000 of IPv4; a kernel with little net.core.optmem_max takes some
// hundred) it lets all pass: strangers are then reset after accept. So they are
// where a hardened kernel lets ordinary users attach no filter at all.
func attachFilter(fd int, local netip.Addr, clients []netip.Addr, trusted []netip.Prefix) error {
	prog := filterProgram(local, clients, trusted)
	if len(prog) <= filterMax && setFilter(fd, prog) == nil {
		return nil
	}
	err := setFilter(fd, []bpf.Instruction{bpf.RetConstant{Val: acceptAll}})
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

func setFilter(fd int, prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}) //nolint:gosec // at most filterMax
}

// dropFilter takes the filter off a connection that a filtered listener has
// accepted.
func dropFilter(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) // ENOENT where none could be attached
}

func filterProgram(local netip.Addr, clients []netip.Addr, trusted []netip.Prefix) []bpf.Instruction {
	var prog []bpf.Instruction
	for _, p := range trusted {
		if p.Addr().Is4() == local.Is4() {
			prog = append(prog, inside(p)...)
		}
	}
	if local.Is4() {
		clients = slices.DeleteFunc(slices.Clone(clients), netip.Addr.Is6)
		prog = append(prog, bpf.LoadAbsolute{Off: netOffset + ip4Source, Size: 4})
		for block := range slices.Chunk(clients, blockMax) {
			prog = append(prog, anyOf4(block)...)
		}
		return append(prog, bpf.RetConstant{Val: 0})
	}
	for _, c := range clients {
		if c.Is6() {
			prog = append(prog, equal6(c)...)
		}
	}
	return append(prog, bpf.RetConstant{Val: 0})
}

// inside lets a packet pass whose source is in p.
func inside(p netip.Prefix) []bpf.Instruction {
	address, offset := p.Addr().AsSlice(), uint32(ip4Source)
	if p.Addr().Is6() {
		offset = ip6Source
	}
	var prog []bpf.Instruction
	words := (p.Bits() + 31) / 32
	for word := range words {
		mask := ^uint32(0)
		if last := p.Bits() - 32*word; last < 32 {
			mask <<= 32 - last
		}
		at := 4 * word
		rest := uint8(3*(words-1-word) + 1) //nolint:gosec // at most 10: to behind the return
		prog = append(prog,
			bpf.LoadAbsolute{Off: netOffset + offset + uint32(at), Size: 4}, //nolint:gosec // at most 12
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(address[at:]) & mask, SkipFalse: rest})
	}
	return append(prog, bpf.RetConstant{Val: acceptAll})
}

// anyOf4 lets a packet pass that comes from one of at most blockMax clients.
func anyOf4(block []netip.Addr) []bpf.Instruction {
	var prog []bpf.Instruction
	for i, c := range block {
		b := c.As4()
		rest := uint8(len(block) - i) //nolint:gosec // at most blockMax; to the return
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[:]), SkipTrue: rest})
	}
	return append(prog, bpf.Jump{Skip: 1}, bpf.RetConstant{Val: acceptAll})
}

func equal6(a netip.Addr) []bpf.Instruction {
	b := a.As16()
	var prog []bpf.Instruction
	for word := range uint32(4) {
		rest := uint8(2*(3-word) + 1) // to behind this address's RetConstant
		prog = append(prog,
			bpf.LoadAbsolute{Off: netOffset + ip6Source + 4*word, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[4*word:]), SkipFalse: rest})
	}
	return append(prog, bpf.RetConstant{Val: acceptAll})
}
