package conntrack

import (
	"fmt"
	"net/netip"
	"time"
)

// Tuple is one direction of a TCP connection. Both addresses are of one family; IPv4 ones
// are never written as IPv6.
type Tuple struct{ Src, Dst netip.AddrPort }

// Reversed is the other direction when nothing is translated.
func (t Tuple) Reversed() Tuple { return Tuple{Src: t.Dst, Dst: t.Src} }

// Is4 tells whether the tuple is of IPv4.
func (t Tuple) Is4() bool { return t.Src.Addr().Is4() }

func (t Tuple) String() string { return t.Src.String() + " -> " + t.Dst.String() }

// valid reports what keeps the kernel from taking the tuple.
func (t Tuple) valid() error {
	src, dst := t.Src.Addr(), t.Dst.Addr()
	switch {
	case !src.IsValid() || !dst.IsValid() || t.Src.Port() == 0 || t.Dst.Port() == 0:
		return fmt.Errorf("%w: %s lacks an address or a port", ErrInvalid, t)
	case src.Is4In6() || dst.Is4In6() || src.Zone() != "" || dst.Zone() != "":
		return fmt.Errorf("%w: %s has an address in a form that packets do not have", ErrInvalid, t)
	case src.Is4() != dst.Is4():
		return fmt.Errorf("%w: %s mixes IPv4 and IPv6", ErrInvalid, t)
	}
	return nil
}

// Counters count what went one way since the entry was made, as IP sees it: headers are
// in Bytes.
type Counters struct{ Packets, Bytes uint64 }

// State is the state of TCP as conntrack follows it (TCP_CONNTRACK_ in
// linux/netfilter/nf_conntrack_tcp.h).
type State uint8

// The states. None also stands for a message that tells none.
const (
	None State = iota
	SynSent
	SynRecv
	Established
	FinWait
	CloseWait
	LastAck
	TimeWait
	Close
	SynSent2
)

func (s State) String() string {
	names := [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Ending tells whether one side has said that it is done, or both.
func (s State) Ending() bool { return s >= FinWait && s <= Close }

// Side is an end of a flow.
type Side uint8

// The sides; the zero value is neither, or not known.
const (
	ClientSide Side = iota + 1
	VMSide
)

// Status are bits about an entry (IPS_ in linux/netfilter/nf_conntrack_common.h).
type Status uint32

// The bits that matter here.
const (
	SeenReply Status = 1 << 1
	Assured   Status = 1 << 2 // is not thrown out when the table is full
	Confirmed Status = 1 << 3
	SrcNAT    Status = 1 << 4
	DstNAT    Status = 1 << 5
	Dying     Status = 1 << 9
)

// Flow is an entry of conntrack for a TCP connection. What a message does not tell is
// zero.
type Flow struct {
	Orig  Tuple // client -> virtual address
	Reply Tuple // VM -> inside address, as the kernel shows it: translated

	Mark uint32
	Zone uint16 // 0 unless somebody's rules set zones

	// ID tells an entry from a later one of the same tuples. It means something to the
	// kernel that gave it only: zero it in a flow that goes to another node.
	ID uint32
	// Timeout is when the entry goes unless a packet comes; the kernel counts seconds.
	Timeout time.Duration
	State   State
	Status  Status
	// First is who sent the first FIN. A reset leaves no such trace.
	First Side

	// Counted tells whether the kernel counts this flow: nf_conntrack_acct was set when
	// the entry was made.
	Counted    bool
	Sent, Back Counters // along Orig, along Reply
	// Start is when the entry was made; zero unless nf_conntrack_timestamp was set then.
	Start time.Time
}

// Translated is the flow of a client that reaches a VM by the virtual address, and that
// the VM sees coming from the inside address. Other fields are for the caller to set.
func Translated(client, virtual, inside, vm netip.AddrPort) Flow {
	return Flow{Orig: Tuple{Src: client, Dst: virtual}, Reply: Tuple{Src: vm, Dst: inside}}
}

// Client is whose connection it is.
func (f Flow) Client() netip.AddrPort { return f.Orig.Src }

// Virtual is what the client has connected to.
func (f Flow) Virtual() netip.AddrPort { return f.Orig.Dst }

// Inside is whom the VM talks to.
func (f Flow) Inside() netip.AddrPort { return f.Reply.Dst }

// VM is who answers.
func (f Flow) VM() netip.AddrPort { return f.Reply.Src }

// NATed tells whether either end is translated.
func (f Flow) NATed() bool { return f.Reply != f.Orig.Reversed() }

// Same tells whether both are the same connection, translated in the same way.
func (f Flow) Same(other Flow) bool {
	return f.Orig == other.Orig && f.Reply == other.Reply && f.Zone == other.Zone
}

// valid reports what keeps the kernel from taking the flow.
func (f Flow) valid() error {
	if err := f.Orig.valid(); err != nil {
		return err
	}
	if err := f.Reply.valid(); err != nil {
		return err
	}
	if f.Orig.Is4() != f.Reply.Is4() {
		return fmt.Errorf("%w: %s is answered by %s, of another family", ErrInvalid, f.Orig, f.Reply)
	}
	return nil
}
