package vrrp

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// captured are messages that Keepalived 2.2.7 sent, taken from the wire.
var captured = []struct {
	name     string
	from, to string
	data     string
	want     Advertisement
}{
	{
		"version 2", "10.99.0.11", "224.0.0.18", "21339601 00013e03 0a630064 00000000 00000000",
		Advertisement{Version: 2, VRID: 51, Priority: 150, Interval: time.Second, Addrs: []netip.Addr{addr("10.99.0.100")}},
	},
	{
		"version 2, resigning", "10.99.0.11", "224.0.0.18", "21330001 0001d403 0a630064 00000000 00000000",
		Advertisement{Version: 2, VRID: 51, Interval: time.Second, Addrs: []netip.Addr{addr("10.99.0.100")}},
	},
	{
		"version 3, two addresses", "10.99.0.11", "224.0.0.18", "31339602 000a3830 0a630064 0a630065",
		Advertisement{Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond, Addrs: []netip.Addr{addr("10.99.0.100"), addr("10.99.0.101")}},
	},
	{
		"version 3, resigning", "10.99.0.11", "224.0.0.18", "31330002 000ace30 0a630064 0a630065",
		Advertisement{Version: 3, VRID: 51, Interval: 100 * time.Millisecond, Addrs: []netip.Addr{addr("10.99.0.100"), addr("10.99.0.101")}},
	},
	{
		"version 3, unicast", "10.99.0.11", "10.99.0.12", "31339601 000a18a1 0a630064",
		Advertisement{Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond, Addrs: []netip.Addr{addr("10.99.0.100")}},
	},
	{
		"version 3 over IPv6", "fe80::7c75:faff:fe81:a734", "ff02::12", "31339601 000a1edd fd990000 00000000 00000000 00000100",
		Advertisement{Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond, Addrs: []netip.Addr{addr("fd99::100")}},
	},
}

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCapturedPackets(t *testing.T) {
	for _, c := range captured {
		t.Run(c.name, func(t *testing.T) {
			p := Packet{From: addr(c.from), To: addr(c.to), Hops: 255, Data: octets(t, c.data)}
			got, err := Parse(p)
			if diff := cmp.Diff(c.want, got, sameAddr); err != nil || diff != "" {
				t.Errorf("got %v, and (-want +got):\n%s", err, diff)
			}
			if got := c.want.Marshal(ChecksumPseudo, p.From, p.To); !slices.Equal(got, p.Data) {
				t.Errorf("got %x, want the same as Keepalived: %x", got, p.Data)
			}
		})
	}
}

func TestDiscards(t *testing.T) {
	valid := func() Packet {
		return Packet{From: addr("10.99.0.11"), To: addr("224.0.0.18"), Hops: 255, Data: octets(t, captured[2].data)}
	}
	old := func() Packet {
		return Packet{From: addr("10.99.0.11"), To: addr("224.0.0.18"), Hops: 255, Data: octets(t, captured[0].data)}
	}
	// summed repairs the checksum, so that it is not what is found wrong.
	summed := func(p Packet) Packet {
		p.Data[6], p.Data[7] = 0, 0
		sum := checksum(p.Data, pseudoHeader(p.Data, p.From, p.To, p.Data[0]>>4, ChecksumPseudo))
		p.Data[6], p.Data[7] = byte(sum>>8), byte(sum)
		return p
	}
	for _, tt := range []struct {
		name   string
		packet Packet
		change func(*Packet)
		want   error
	}{
		{"as it was sent", valid(), func(*Packet) {}, nil},
		{"2, 3: forwarded", valid(), func(p *Packet) { p.Hops = 254 }, DiscardHops},
		{"3: no TTL known", valid(), func(p *Packet) { p.Hops = 0 }, DiscardHops},
		{"6: version 4", valid(), func(p *Packet) { p.Data[0] = 0x41; *p = summed(*p) }, DiscardVersion},
		{"6: version 0", valid(), func(p *Packet) { p.Data[0] = 0x01; *p = summed(*p) }, DiscardVersion},
		{"7: type 2", valid(), func(p *Packet) { p.Data[0] = 0x32; *p = summed(*p) }, DiscardType},
		{"9: no address", valid(), func(p *Packet) { p.Data[3] = 0; *p = summed(*p) }, DiscardCount},
		{"10: nothing", valid(), func(p *Packet) { p.Data = nil }, DiscardTruncated},
		{"10: half a header", valid(), func(p *Packet) { p.Data = p.Data[:7] }, DiscardTruncated},
		{"10: an address short", valid(), func(p *Packet) { p.Data = p.Data[:12] }, DiscardTruncated},
		{"10: more addresses than bytes", valid(), func(p *Packet) { p.Data[3] = 255; *p = summed(*p) }, DiscardTruncated},
		{"11: a bit turned", valid(), func(p *Packet) { p.Data[15] ^= 1 }, DiscardChecksum},
		{"11: the checksum of the message alone", valid(), func(p *Packet) {
			p.Data[6], p.Data[7] = 0, 0
			sum := checksum(p.Data, 0)
			p.Data[6], p.Data[7] = byte(sum>>8), byte(sum)
		}, nil},
		{"11: for another destination", valid(), func(p *Packet) { p.To = addr("10.99.0.12") }, DiscardChecksum},
		{"13: reserved bits set", valid(), func(p *Packet) { p.Data[4] |= 0xf0; *p = summed(*p) }, nil},
		{"14: interval 0", valid(), func(p *Packet) { p.Data[4], p.Data[5] = 0, 0; *p = summed(*p) }, DiscardInterval},
		{"trailing bytes", valid(), func(p *Packet) { p.Data = append(p.Data, 1, 2, 3, 4); *p = summed(*p) }, nil},
		{"42: version 2 with a pseudo-header", old(), func(p *Packet) {
			p.Data[6], p.Data[7] = 0, 0
			sum := checksum(p.Data, pseudoHeader(p.Data, p.From, p.To, 3, ChecksumPseudo))
			p.Data[6], p.Data[7] = byte(sum>>8), byte(sum)
		}, DiscardChecksum},
		{"44: authentication by password", old(), func(p *Packet) { p.Data[4] = 1; *p = summed(*p) }, DiscardAuth},
		{"version 2 without authentication data", old(), func(p *Packet) { p.Data = p.Data[:12]; *p = summed(*p) }, DiscardTruncated},
		{"version 2, interval 0", old(), func(p *Packet) { p.Data[5] = 0; *p = summed(*p) }, DiscardInterval},
		{
			"version 2 over IPv6",
			Packet{From: addr("fe80::1"), To: addr("ff02::12"), Hops: 255, Data: append(octets(t, "21339601 00010000"), make([]byte, 24)...)},
			func(p *Packet) { *p = summed(*p) }, DiscardFamily,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.packet
			tt.change(&p)
			if _, err := Parse(p); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// What one router says another one understands, in every form.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		six := rapid.Bool().Draw(t, "six")
		a := Advertisement{
			Version: 3, VRID: VRID(rapid.IntRange(1, 255).Draw(t, "vrid")), Priority: uint8(rapid.IntRange(0, 255).Draw(t, "priority")),
			Interval: time.Duration(rapid.IntRange(1, 4095).Draw(t, "interval")) * centisecond,
		}
		size, from, to := 4, addr("10.0.0.1"), addr("224.0.0.18")
		if six {
			size, from, to = 16, addr("fe80::1"), addr("ff02::12")
		} else if rapid.Bool().Draw(t, "old") {
			a.Version, a.Interval = 2, time.Duration(rapid.IntRange(1, 255).Draw(t, "seconds"))*time.Second
		}
		for range rapid.IntRange(1, 255).Draw(t, "count") {
			one, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "addr"))
			a.Addrs = append(a.Addrs, one)
		}
		form := rapid.SampledFrom([]Checksum{ChecksumPseudo, ChecksumRFC}).Draw(t, "form")
		got, err := Parse(Packet{From: from, To: to, Hops: 255, Data: a.Marshal(form, from, to)})
		if diff := cmp.Diff(a, got, sameAddr); err != nil || diff != "" {
			t.Fatalf("got %v, and (-want +got):\n%s", err, diff)
		}
	})
}

// FuzzParse feeds bytes of strangers: nothing panics, and what is accepted says the
// same again when it is sent again.
func FuzzParse(f *testing.F) {
	for _, c := range captured {
		f.Add(octets(f, c.data), addr(c.from).Is6())
	}
	f.Add([]byte{}, false)
	f.Add([]byte{0x31, 1, 1, 255, 0, 1, 0, 0}, true)
	f.Fuzz(func(t *testing.T, data []byte, six bool) {
		p := Packet{From: addr("10.99.0.11"), To: addr("224.0.0.18"), Hops: 255, Data: data}
		if six {
			p.From, p.To = addr("fe80::1"), addr("ff02::12")
		}
		a, err := Parse(p)
		if err != nil {
			var why Discard
			if !errors.As(err, &why) {
				t.Fatalf("got %v, want a reason", err)
			}
			return
		}
		again, err := Parse(Packet{From: p.From, To: p.To, Hops: 255, Data: a.Marshal(ChecksumPseudo, p.From, p.To)})
		if diff := cmp.Diff(a, again, sameAddr); err != nil || diff != "" {
			t.Errorf("got %v, and (-first +again):\n%s", err, diff)
		}
	})
}
