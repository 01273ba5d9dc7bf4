package kernel

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vdi-gateway/gateway/kernel/conntrack"
)

// recordVersion is the first byte of a record.
const recordVersion = 1

// Record is a living flow as other nodes keep it. ID is the same on every node; a later
// flow between the same ends has it, too.
type Record struct {
	ID    string
	Value []byte // at most 83 bytes
}

// shared is what a record says.
type shared struct {
	client, virtual, inside, vm netip.AddrPort
	since                       time.Time
}

func sharedOf(f conntrack.Flow, since time.Time) shared {
	return shared{f.Client(), f.Virtual(), f.Inside(), f.VM(), since}
}

// flow is the entry to inject.
func (s shared) flow(mark uint32) conntrack.Flow {
	f := conntrack.Translated(s.client, s.virtual, s.inside, s.vm)
	f.Mark = mark
	return f
}

func idOf(t conntrack.Tuple) string {
	return base64.RawURLEncoding.EncodeToString(appendEnd(appendEnd(nil, t.Src), t.Dst))
}

func (s shared) record() Record {
	v := []byte{recordVersion, 4}
	if s.client.Addr().Is6() {
		v[1] = 6
	}
	for _, end := range []netip.AddrPort{s.client, s.virtual, s.inside, s.vm} {
		v = appendEnd(v, end)
	}
	v = binary.BigEndian.AppendUint64(v, uint64(s.since.UnixNano()))
	return Record{ID: idOf(conntrack.Tuple{Src: s.client, Dst: s.virtual}), Value: v}
}

func appendEnd(b []byte, a netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(append(b, a.Addr().AsSlice()...), a.Port())
}

// decode reads a record. One that is none is an error, whoever sent it.
func (r Record) decode() (shared, error) {
	if len(r.Value) < 2 || r.Value[0] != recordVersion {
		return shared{}, fmt.Errorf("the record of a flow is not of version %d", recordVersion)
	}
	size := map[byte]int{4: 4, 6: 16}[r.Value[1]]
	if b := r.Value[2:]; size == 0 || len(b) != 4*(size+2)+8 {
		return shared{}, fmt.Errorf("the record of a flow has %d bytes", len(r.Value))
	}
	var ends [4]netip.AddrPort
	b := r.Value[2:]
	for i := range ends {
		a, _ := netip.AddrFromSlice(b[:size])
		ends[i] = netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[size:]))
		if a.IsUnspecified() || a.Is4In6() || ends[i].Port() == 0 {
			return shared{}, errors.New("the record of a flow lacks an address or a port")
		}
		b = b[size+2:]
	}
	s := shared{ends[0], ends[1], ends[2], ends[3], time.Unix(0, int64(binary.BigEndian.Uint64(b)))}
	if r.ID != idOf(conntrack.Tuple{Src: s.client, Dst: s.virtual}) {
		return shared{}, errors.New("the record of a flow is under the name of another")
	}
	return s, nil
}
