package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func addrPorts() *rapid.Generator[netip.AddrPort] {
	return rapid.Custom(func(t *rapid.T) netip.AddrPort {
		size := rapid.SampledFrom([]int{4, 16}).Draw(t, "size")
		a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "address"))
		return netip.AddrPortFrom(a.Unmap(), rapid.Uint16().Draw(t, "port"))
	})
}

// What Header writes parseHeader reads, whatever follows and however little of it
// is there yet.
func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		client, local := addrPorts().Draw(t, "client"), addrPorts().Draw(t, "local")
		hops := rapid.Byte().Draw(t, "hops")
		whole := Header(client, local, hops)
		for n := range whole {
			if _, err := parseHeader(whole[:n]); !errors.Is(err, errShort) {
				t.Fatalf("got %v for the first %d of %d bytes, want that they are too few", err, n, len(whole))
			}
		}
		got, err := parseHeader(append(bytes.Clone(whole), "first bytes"...))
		want := header{size: len(whole), client: client, hops: hops}
		if err != nil || got != want {
			t.Fatalf("got %+v (%v), want %+v", got, err, want)
		}
	})
}

// with changes the header of a client.
func with(change func(b []byte) []byte) []byte {
	return change(Header(netip.MustParseAddrPort("203.0.113.7:4711"), netip.MustParseAddrPort("10.0.0.1:5900"), 1))
}

// lengthen adds a type-length-value.
func lengthen(b []byte, kind byte, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, kind), uint16(len(value))) //nolint:gosec // short
	b = append(b, value...)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-headerSize)) //nolint:gosec // short
	return b
}

func withChecksum(off uint32) []byte {
	return with(func(b []byte) []byte {
		b = lengthen(b, typeCRC, make([]byte, 4))
		sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		binary.BigEndian.PutUint32(b[len(b)-4:], sum+off)
		return b
	})
}

func TestHeadersOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"an unknown extra", with(func(b []byte) []byte { return lengthen(b, 0x20, []byte("ssl")) }), nil},
		{"a right checksum", withChecksum(0), nil},
		{"a wrong checksum", withChecksum(1), errHeader},
		{"a check of its own", append([]byte(signature), commandLocal, 0, 0, 0), nil},
		{"an extra that is cut", with(func(b []byte) []byte { b[len(b)-2]++; return b }), errHeader},
		{"no address family", with(func(b []byte) []byte { b[13] = 0; return b }), errHeader},
		{"a datagram", with(func(b []byte) []byte { b[13] = 0x12; return b }), errHeader},
		{"another command", with(func(b []byte) []byte { b[12] = 0x22; return b }), errHeader},
		{"another version", with(func(b []byte) []byte { b[12] = 0x11; return b }), errHeader},
		{"too long", with(func(b []byte) []byte { return lengthen(b, 0x20, make([]byte, headerMax)) }), errHeader},
		{"addresses that are cut", append([]byte(signature), commandProxy, tcp4, 0, 4, 1, 2, 3, 4), errHeader},
		{"version 1", []byte("PROXY TCP4 203.0.113.7 10.0.0.1 4711 5900\r\n"), errHeader},
		{"bytes of a viewer", []byte("RFB 003.008\n"), errHeader},
		{"nothing", nil, errShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := parseHeader(tt.b); !errors.Is(err, tt.want) {
				t.Errorf("got %+v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(Header(netip.MustParseAddrPort("203.0.113.7:4711"), netip.MustParseAddrPort("10.0.0.1:5900"), 2))
	f.Add(Header(netip.MustParseAddrPort("[2001:db8::1]:4711"), netip.MustParseAddrPort("10.0.0.1:5900"), 0))
	f.Add(withChecksum(0))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err == nil && (h.size > len(b) || h.size < headerSize || h.size > headerMax || !h.local && !h.client.IsValid()) {
			t.Errorf("got %+v of %d bytes", h, len(b))
		}
	})
}
