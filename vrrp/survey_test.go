package vrrp

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestSurvey(t *testing.T) {
	const group = "224.0.0.18"
	own := Config{
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/32")}, Version: 3, VRID: 51, Priority: 100, Interval: 100 * time.Millisecond,
	}
	packet := func(from string, a Advertisement, over func(*Packet)) Packet {
		p := Packet{From: addr(from), To: addr(group), Hops: 255, Data: a.Marshal(ChecksumPseudo, addr(from), addr(group))}
		if over != nil {
			over(&p)
		}
		return p
	}
	says := func(over func(*Advertisement)) Advertisement {
		a := own.advertisement(90)
		if over != nil {
			over(&a)
		}
		return a
	}
	unicast := own
	unicast.Peers = []netip.Addr{addr("10.0.0.2")}
	old := own
	old.Version, old.Interval = 2, time.Second
	for _, tt := range []struct {
		name      string
		cfg       Config
		packet    Packet
		none      bool
		discarded Discard
		stranger  string // the beginning
	}{
		{name: "another node", cfg: own, packet: packet("10.0.0.2", says(nil), nil)},
		{name: "this node", cfg: own, packet: packet("10.0.0.1", says(nil), nil), none: true},
		{name: "another router id", cfg: own, packet: packet("10.0.0.2", says(func(a *Advertisement) { a.VRID = 52 }), nil), none: true},
		{name: "a scrap", cfg: own, packet: Packet{From: addr("10.0.0.2"), Hops: 255, Data: []byte{0x31, 51}}, none: true},
		{
			name: "other addresses", cfg: own, stranger: "uses router id 51 for other addresses (10.0.0.55)",
			packet: packet("10.0.0.9", says(func(a *Advertisement) { a.Addrs = []netip.Addr{addr("10.0.0.55")} }), nil),
		},
		{
			name: "another version", cfg: own, discarded: DiscardVersion, stranger: "speaks version 2 with router id 51",
			packet: packet("10.0.0.9", says(func(a *Advertisement) { a.Version, a.Interval = 2, time.Second }), nil),
		},
		{name: "forwarded", cfg: own, discarded: DiscardHops, packet: packet("10.0.0.2", says(nil), func(p *Packet) { p.Hops = 64 })},
		{name: "damaged", cfg: own, discarded: DiscardChecksum, packet: packet("10.0.0.2", says(nil), func(p *Packet) { p.Data[6]++ })},
		{
			name: "with a password", cfg: old, discarded: DiscardAuth,
			packet: packet("10.0.0.2", old.advertisement(90), func(p *Packet) {
				p.Data[4] = 1
				p.Data[6]-- // the checksum covers it
			}),
		},
		{name: "no node of ours, by unicast", cfg: unicast, discarded: DiscardSource, packet: packet("10.0.0.9", says(nil), nil)},
		{
			name: "another interval, version 2", cfg: old, discarded: DiscardInterval,
			packet: packet("10.0.0.2", old.advertisement(90), func(p *Packet) { p.Data[5]++; p.Data[7]-- }),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.cfg.survey([]Packet{tt.packet, tt.packet}, addr("10.0.0.1"))
			if tt.none {
				if len(got) != 0 {
					t.Errorf("got %+v, want nobody", got)
				}
				return
			}
			if len(got) != 1 || got[0].From != tt.packet.From || got[0].Packets != 2 || got[0].Discarded != tt.discarded {
				t.Fatalf("got %+v, want two packets of %s, discarded %q", got, tt.packet.From, tt.discarded)
			}
			if got[0].Stranger[:min(len(got[0].Stranger), len(tt.stranger))] != tt.stranger || (got[0].Stranger == "") != (tt.stranger == "") {
				t.Errorf("got the stranger %q, want %q", got[0].Stranger, tt.stranger)
			}
		})
	}
}

func TestARPProbe(t *testing.T) {
	own := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	if a, _, ok := arpSender(arpProbe(own, addr("10.0.0.100"))); ok {
		t.Errorf("a probe says that somebody has %s, want nothing", a)
	}
	a, mac, ok := arpSender(gratuitousARP(arpReply, own, addr("10.0.0.100")))
	if !ok || a != addr("10.0.0.100") || mac.String() != own.String() {
		t.Errorf("got %s of %s, %t; want 10.0.0.100 of %s", a, mac, ok, own)
	}
	if _, _, ok := arpSender([]byte("short")); ok {
		t.Error("a scrap says something, want nothing")
	}
}
