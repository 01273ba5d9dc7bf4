package conntrack

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func tupleOf(src, dst string) Tuple {
	return Tuple{Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
}

var (
	flow4 = Flow{
		Orig: tupleOf("10.9.0.100:40000", "10.9.0.10:5901"), Reply: tupleOf("10.8.0.50:5900", "10.8.0.10:40000"),
		Mark: 7, Timeout: 300 * time.Second,
	}
	flow6 = Flow{
		Orig: tupleOf("[fd09::100]:40000", "[fd09::10]:5901"), Reply: tupleOf("[fd08::50]:5900", "[fd08::10]:40000"),
		Mark: 7, Timeout: 300 * time.Second, Zone: 3,
	}
)

// shown writes a flow as the kernel does.
func shown(f Flow, kind, flags uint16, port uint32) []byte {
	var w writer
	at := w.begin(kind, flags, family(f), 1)
	w.tuple(ctaTupleOrig, f.Orig)
	w.tuple(ctaTupleReply, f.Reply)
	w.u32(ctaStatus, uint32(f.Status))
	w.u32(ctaTimeout, uint32(f.Timeout/time.Second))
	w.u32(ctaMark, f.Mark)
	w.u32(ctaID, f.ID)
	w.u16(ctaZone, f.Zone)
	info, in := w.nest(ctaProtoInfo), w.nest(ctaProtoInfoTCP)
	w.bytes(ctaTCPState, byte(f.State))
	w.close(in)
	w.close(info)
	if f.Counted {
		w.counters(ctaCountersOrig, f.Sent)
		w.counters(ctaCountersReply, f.Back)
	}
	if !f.Start.IsZero() {
		at := w.nest(ctaTimestamp)
		w.u64(ctaTimeStart, uint64(f.Start.UnixNano()))
		w.close(at)
	}
	w.end(at)
	binary.NativeEndian.PutUint32(w.buf[12:], port)
	return w.buf
}

func (w *writer) counters(kind uint16, c Counters) {
	at := w.nest(kind)
	w.u64(ctaCountPackets, c.Packets)
	w.u64(ctaCountBytes, c.Bytes)
	w.close(at)
}

func (w *writer) u64(kind uint16, v uint64) {
	w.bytes(kind, binary.BigEndian.AppendUint64(nil, v)...)
}

func full(f Flow) Flow {
	f.ID, f.State, f.Status, f.Counted = 77, FinWait, SeenReply|Confirmed, true
	f.Sent, f.Back, f.Start = Counters{1, 2}, Counters{3, 1 << 40}, time.Unix(1700000000, 5)
	return f
}

func first(t *testing.T, b []byte) message {
	t.Helper()
	m, _, ok, err := nextMessage(b)
	if !ok || err != nil {
		t.Fatalf("got %v and %v, want a message", ok, err)
	}
	return m
}

func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		name        string
		kind, flags uint16
		want        Kind
	}{
		{"made", msgNew, flagCreate | flagExcl, New},
		{"changed", msgNew, 0, Update},
		{"gone", msgDelete, 0, Destroy},
	} {
		for _, f := range []Flow{flow4, flow6, full(flow4), full(flow6)} {
			t.Run(tt.name+" "+f.Orig.String(), func(t *testing.T) {
				e, ok, err := parseEvent(first(t, shown(f, tt.kind, tt.flags, 99)))
				if want := (Event{Kind: tt.want, Flow: f, By: 99}); !ok || err != nil || e != want {
					t.Errorf("got %+v, %v, %v, want %+v", e, ok, err, want)
				}
			})
		}
	}
	if _, ok, err := parseEvent(message{kind: typeDone}); ok || err != nil {
		t.Errorf("another message: got %v and %v, want neither", ok, err)
	}
}

// TestCreateSaysWhatTheKernelTakes compares with a message that was seen to work, byte by
// byte (on a machine whose order is little-endian).
func TestCreateSaysWhatTheKernelTakes(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the sample is of a little-endian machine")
	}
	var w writer
	w.create(flow4, SeenReply|Assured|Confirmed, flagAck, 5)
	want := strings.Join([]string{
		"04010000" + "0001" + "0506" + "05000000" + "00000000", // header: NEW, REQUEST|ACK|CREATE|EXCL
		"02" + "00" + "0000",
		"34000180", "14000180" + "080001000a090064" + "080002000a09000a",
		"1c000280" + "0500010006000000" + "060002009c400000" + "06000300170d0000",
		"34000280", "14000180" + "080001000a09000a" + "080002000a090064",
		"1c000280" + "0500010006000000" + "06000200170d0000" + "060003009c400000",
		"28000680", "080001000a08000a" + "080002000a08000a", "14000380" + "060001009c400000" + "060002009c400000",
		"28000d80", "080001000a080032" + "080002000a080032", "14000380" + "06000100170c0000" + "06000200170c0000",
		"080003000000000e", "080007000000012c", "0800080000000007",
		"20000480", "1c000180" + "0500010003000000" + "0600040008080000" + "0600050008080000",
	}, "")
	if got := hex.EncodeToString(w.buf); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMalformed(t *testing.T) {
	good := shown(full(flow4), msgNew, 0, 0)
	change := func(at int, to ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], to)
		return b
	}
	huge := binary.NativeEndian.AppendUint32(nil, 1<<31)
	for _, tt := range []struct {
		name string
		b    []byte
	}{
		{"half a header", good[:10]},
		{"less than it says", good[:len(good)-4]},
		{"more than there can be", change(0, huge...)},
		{"a length of nothing", change(0, 0, 0, 0, 0)},
		{"an attribute of nothing", change(headerLen+genLen, 0, 0)},
		{"an attribute beyond the end", change(headerLen+genLen, 255, 255)},
		{"a tuple that ends in itself", change(headerLen+genLen+attrLen, 3, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _, _, err := nextMessage(tt.b)
			if err == nil {
				_, _, err = parseFlow(m.body)
			}
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
		})
	}
}

func TestNotOurs(t *testing.T) {
	udp := shown(flow4, msgNew, 0, 0)
	at := headerLen + genLen + attrLen + 20 + attrLen + attrLen // the protocol of the first tuple
	if udp[at] != tcp {
		t.Fatalf("got protocol %d at %d, want TCP's", udp[at], at)
	}
	udp[at] = 17
	noPort := flow4
	noPort.Orig.Src = netip.AddrPortFrom(noPort.Orig.Src.Addr(), 0)
	mixed := flow4
	mixed.Reply = flow6.Reply
	for name, b := range map[string][]byte{
		"UDP": udp, "no port": shown(noPort, msgNew, 0, 0), "two families": shown(mixed, msgNew, 0, 0),
	} {
		if f, ours, err := parseFlow(first(t, b).body); ours || err != nil {
			t.Errorf("%s: got %+v, %v, %v, want it passed by", name, f, ours, err)
		}
	}
}

func TestEventsAllocateNothing(t *testing.T) {
	for _, f := range []Flow{full(flow4), full(flow6)} {
		m := first(t, shown(f, msgNew, 0, 0))
		if n := testing.AllocsPerRun(100, func() { _, _, _ = parseEvent(m) }); n != 0 {
			t.Errorf("%s: got %v allocations, want none", f.Orig, n)
		}
	}
}

// FuzzDatagram reads whatever there is, and writes again what it could read.
func FuzzDatagram(f *testing.F) {
	f.Add(shown(full(flow4), msgNew, flagCreate, 1))
	f.Add(append(shown(full(flow6), msgDelete, 0, 1), shown(flow4, msgNew, 0, 2)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			m, rest, ok, err := nextMessage(b)
			if !ok || err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("it does not get on")
			}
			_, _ = m.code()
			if e, ok, err := parseEvent(m); ok && err == nil {
				again, ok, err := parseEvent(first(t, shown(e.Flow, m.kind, m.flags, m.port)))
				if !ok || err != nil || !sameEvent(again, e) {
					t.Fatalf("got %+v, %v, %v, want %+v", again, ok, err, e)
				}
			}
			b = rest
		}
	})
}

func sameEvent(a, b Event) bool {
	same := a.Flow.Start.Equal(b.Flow.Start)
	a.Flow.Start, b.Flow.Start = time.Time{}, time.Time{}
	return same && a == b
}

func TestSYN(t *testing.T) {
	for _, tuple := range []Tuple{flow4.Orig, flow6.Orig} {
		p := syn(tuple)
		head, addresses := ip4Len, 12
		if !tuple.Is4() {
			head, addresses = ip6Len, 8
		}
		sum := uint32(tcp + tcpLen)
		for at := addresses; at < head; at += 2 {
			sum += uint32(binary.BigEndian.Uint16(p[at:]))
		}
		if got := checksum(sum, p[head:]); got != 0 {
			t.Errorf("%s: got TCP's checksum off by %#x", tuple, got)
		}
		if tuple.Is4() && checksum(0, p[:ip4Len]) != 0 {
			t.Errorf("%s: got a wrong checksum of IP", tuple)
		}
		if p[head+13] != synBit || binary.BigEndian.Uint16(p[head:]) != tuple.Src.Port() || len(p) != head+tcpLen {
			t.Errorf("%s: got % x, want a SYN", tuple, p)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		FinWait.String(): "FIN_WAIT", State(99).String(): "state 99",
		New.String(): "new", Overrun.String(): "overrun", Kind(3).String(): "kind 3",
		flow4.Orig.String(): "10.9.0.100:40000 -> 10.9.0.10:5901",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if flow4.NATed() != true || (Flow{Orig: flow4.Orig, Reply: flow4.Orig.Reversed()}).NATed() {
		t.Error("NATed: got a translated flow and a plain one alike")
	}
	for d, want := range map[time.Duration]uint32{0: 432000, -1: 432000, 1: 1, time.Second: 1, 1500 * time.Millisecond: 2, 1 << 62: 1<<31 - 1} {
		if got := seconds(d); got != want {
			t.Errorf("%s: got %d s, want %d", d, got, want)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	m, _, _, _ := nextMessage(shown(full(flow4), msgNew, flagCreate, 1))
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = parseEvent(m)
	}
}
