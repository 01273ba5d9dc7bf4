package gateway

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter on a listening socket makes its port silent to everybody but the
// granted clients: a stranger's SYN is dropped before TCP sees it, so the port
// looks as if a firewall stood before it. It needs no capability. Sockets the
// listener accepts inherit the filter, which their own client passes.

const (
	// netOffset is SKF_NET_OFF of linux/filter.h: at the TCP layer a
	// filter's data starts at the TCP header; this reaches back to IP's.
	netOffset = 0xfff00000
	ip4Source = 12 // RFC 791 section 3.1
	ip6Source = 8  // RFC 8200 section 3
	// filterMax is BPF_MAXINSNS: more clients than fit are filtered after
	// accept, by a reset.
	filterMax = 4096
)

// attachFilter lets only packets from clients reach the socket fd, which
// listens on an address of the family of local.
func attachFilter(fd int, local netip.Addr, clients []netip.Addr) error {
	prog := filterProgram(local, clients)
	if len(prog) > filterMax {
		prog = []bpf.Instruction{bpf.RetConstant{Val: 0xffffffff}}
	}
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

func filterProgram(local netip.Addr, clients []netip.Addr) []bpf.Instruction {
	var prog []bpf.Instruction
	if local.Is4() {
		prog = append(prog, bpf.LoadAbsolute{Off: netOffset + ip4Source, Size: 4})
	}
	for _, c := range clients {
		switch {
		case local.Is4() && c.Is4():
			prog = append(prog, equal4(c)...)
		case local.Is6() && c.Is6():
			prog = append(prog, equal6(c)...)
		}
	}
	return append(prog, bpf.RetConstant{Val: 0})
}

func equal4(a netip.Addr) []bpf.Instruction {
	b := a.As4()
	return []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[:]), SkipFalse: 1},
		bpf.RetConstant{Val: 0xffffffff},
	}
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
	return append(prog, bpf.RetConstant{Val: 0xffffffff})
}
