package conntrack

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// defaultTimeout is nf_conntrack_tcp_timeout_established as kernels have it.
const defaultTimeout = 5 * 24 * time.Hour

// writer builds messages one after the other. The zero value is empty.
type writer struct{ buf []byte }

// begin begins a message about entries of a family (0: both) and returns where; end ends
// it.
func (w *writer) begin(kind, flags uint16, family uint8, sequence uint32) int {
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0)
	w.buf = binary.NativeEndian.AppendUint16(w.buf, kind)
	w.buf = binary.NativeEndian.AppendUint16(w.buf, flags|flagRequest)
	w.buf = binary.NativeEndian.AppendUint32(w.buf, sequence)
	w.buf = append(w.buf, 0, 0, 0, 0, family, 0, 0, 0)
	return at
}

func (w *writer) end(at int) {
	binary.NativeEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at))
}

// nest begins an attribute that holds others and returns where; close ends it.
func (w *writer) nest(kind uint16) int {
	at := len(w.buf)
	w.head(kind|attrNested, 0)
	return at
}

func (w *writer) close(at int) {
	binary.NativeEndian.PutUint16(w.buf[at:], uint16(len(w.buf)-at))
}

func (w *writer) head(kind uint16, length int) {
	w.buf = binary.NativeEndian.AppendUint16(w.buf, uint16(attrLen+length))
	w.buf = binary.NativeEndian.AppendUint16(w.buf, kind)
}

func (w *writer) bytes(kind uint16, value ...byte) {
	w.head(kind, len(value))
	w.buf = append(w.buf, value...)
	for len(w.buf)%4 != 0 {
		w.buf = append(w.buf, 0)
	}
}

func (w *writer) u16(kind, v uint16) { w.bytes(kind, byte(v>>8), byte(v)) }

func (w *writer) u32(kind uint16, v uint32) {
	w.head(kind, 4)
	w.buf = binary.BigEndian.AppendUint32(w.buf, v)
}

func (w *writer) addr(kind4, kind6 uint16, a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		w.bytes(kind4, b[:]...)
		return
	}
	b := a.As16()
	w.bytes(kind6, b[:]...)
}

func (w *writer) tuple(kind uint16, t Tuple) {
	all, ip := w.nest(kind), w.nest(ctaTupleIP)
	w.addr(ctaIP4Src, ctaIP6Src, t.Src.Addr())
	w.addr(ctaIP4Dst, ctaIP6Dst, t.Dst.Addr())
	w.close(ip)
	proto := w.nest(ctaTupleProto)
	w.bytes(ctaProtoNum, tcp)
	w.u16(ctaProtoSrcPort, t.Src.Port())
	w.u16(ctaProtoDstPort, t.Dst.Port())
	w.close(proto)
	w.close(all)
}

// translation asks for exactly this address and port.
func (w *writer) translation(kind uint16, to netip.AddrPort) {
	all := w.nest(kind)
	w.addr(ctaNAT4Min, ctaNAT6Min, to.Addr())
	w.addr(ctaNAT4Max, ctaNAT6Max, to.Addr())
	proto := w.nest(ctaNATProto)
	w.u16(ctaNATPortMin, to.Port())
	w.u16(ctaNATPortMax, to.Port())
	w.close(proto)
	w.close(all)
}

// established says that both sides have spoken, and not to judge sequence numbers.
func (w *writer) established() {
	all, info := w.nest(ctaProtoInfo), w.nest(ctaProtoInfoTCP)
	w.bytes(ctaTCPState, byte(Established))
	w.bytes(ctaTCPFlagsOrig, tcpBeLiberal, tcpBeLiberal)
	w.bytes(ctaTCPFlagsReply, tcpBeLiberal, tcpBeLiberal)
	w.close(info)
	w.close(all)
}

// key names an entry.
func (w *writer) key(f Flow) {
	w.tuple(ctaTupleOrig, f.Orig)
	if f.Zone != 0 {
		w.u16(ctaZone, f.Zone)
	}
}

// create asks for an entry that is not there yet.
func (w *writer) create(f Flow, status Status, flags uint16, sequence uint32) {
	at := w.begin(msgNew, flagCreate|flagExcl|flags, family(f), sequence)
	w.key(f)
	w.tuple(ctaTupleReply, f.Orig.Reversed())
	if f.Inside() != f.Client() {
		w.translation(ctaNATSrc, f.Inside())
	}
	if f.VM() != f.Virtual() {
		w.translation(ctaNATDst, f.VM())
	}
	w.u32(ctaStatus, uint32(status))
	w.u32(ctaTimeout, seconds(f.Timeout))
	if f.Mark != 0 {
		w.u32(ctaMark, f.Mark)
	}
	w.established()
	w.end(at)
}

// mark asks for another mark of an entry.
func (w *writer) mark(f Flow, mark uint32, flags uint16, sequence uint32) {
	at := w.begin(msgNew, flags, family(f), sequence)
	w.key(f)
	w.u32(ctaMark, mark)
	w.end(at)
}

// remove asks for the end of an entry: of this very one, when its ID is known.
func (w *writer) remove(f Flow, flags uint16, sequence uint32) {
	at := w.begin(msgDelete, flags, family(f), sequence)
	w.key(f)
	if f.ID != 0 {
		w.u32(ctaID, f.ID)
	}
	w.end(at)
}

// get asks for one entry.
func (w *writer) get(f Flow, flags uint16, sequence uint32) {
	at := w.begin(msgGet, flags, family(f), sequence)
	w.key(f)
	w.end(at)
}

// dump asks for all entries of a family (0: both) whose mark fits.
func (w *writer) dump(f Filter, sequence uint32) {
	at := w.begin(msgGet, flagDump, f.family(), sequence)
	if f.Mask != 0 {
		w.u32(ctaMark, f.Mark&f.Mask)
		w.u32(ctaMarkMask, f.Mask)
	}
	w.end(at)
}

func family(f Flow) uint8 {
	if f.Orig.Is4() {
		return family4
	}
	return family6
}

// seconds is a timeout as the kernel takes it: never less than asked for.
func seconds(d time.Duration) uint32 {
	if d <= 0 {
		d = defaultTimeout
	}
	return uint32(min((d+time.Second-1)/time.Second, 1<<31-1))
}
