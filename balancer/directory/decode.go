package directory

import (
	"encoding/binary"
	"math"
	"net/netip"
)

// decoder takes a message apart; after the first thing that is wrong it is bad
// and returns zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// varint reads a number of at most most.
func (d *decoder) varint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads how many things of at least size bytes follow.
func (d *decoder) count(size, most int) int {
	return int(d.varint(uint64(min(most, len(d.b)/size))))
}

func (d *decoder) must(ok bool) { d.bad = d.bad || !ok }

func decodeMessage(b []byte) (message, error) {
	if len(b) > MaxMessage {
		return message{}, errMessage
	}
	d := &decoder{b: b}
	d.must(d.byte() == version)
	m := message{what: d.byte()}
	d.must(m.what >= ask && m.what <= share)
	complete := d.byte()
	d.must(complete <= 1)
	m.complete, m.from, m.to = complete == 1, d.uint64(), d.uint64()
	d.must(m.from != 0)
	origins := d.origins()
	m.vector = d.vector(origins)
	m.items = d.items(origins, m.from)
	if d.must(len(d.b) == 0 && (m.what != share || len(m.items) == 1)); d.bad {
		return message{}, errMessage
	}
	return m, nil
}

func (d *decoder) items(origins []*origin, via uint64) []item {
	items := make([]item, d.count(8, MaxMessage))
	for n := range items {
		items[n] = d.item(origins, via)
	}
	return items
}

func (d *decoder) item(origins []*origin, via uint64) item {
	flags, from := d.byte(), d.origin(origins)
	e := &entry{from: from, via: via, dead: flags == flagDead}
	d.must(flags <= flagDead)
	e.seq = d.varint(math.MaxUint64)
	e.stamp = int64(d.varint(math.MaxInt64 - uint64(tombstoneTime)))
	e.expires = int64(d.varint(math.MaxInt64))
	kind := d.bytes(int(d.byte()))
	e.keySize = d.byte()
	value := int(d.varint(MaxValue))
	e.text = string(d.bytes(int(e.keySize) + value))
	d.must(within(len(kind), MaxKind) && within(int(e.keySize), MaxKey) && (!e.dead || value == 0 && e.expires == 0))
	return item{kind: string(kind), entry: e}
}

func (d *decoder) origins() []*origin {
	origins := make([]*origin, d.count(13, maxOrigins))
	for n := range origins {
		node, ok := netip.AddrFromSlice(d.bytes(int(d.byte())))
		d.must(ok)
		origins[n] = &origin{originID: originID{node: node, instance: d.uint64()}}
	}
	return origins
}

func (d *decoder) origin(origins []*origin) *origin {
	n := d.varint(math.MaxInt32)
	if n >= uint64(len(origins)) {
		d.bad, d.b = true, nil
		return &origin{}
	}
	return origins[n]
}

func (d *decoder) vector(origins []*origin) []mark {
	vector := make([]mark, d.count(2, maxOrigins))
	for n := range vector {
		vector[n] = mark{originID: d.origin(origins).originID, seq: d.varint(math.MaxUint64)}
	}
	return vector
}

func decodeAnswer(b []byte) (answer, error) {
	if len(b) > MaxMessage {
		return answer{}, errMessage
	}
	d := &decoder{b: b}
	d.must(d.byte() == version)
	a := answer{outcome: d.byte(), instance: d.uint64()}
	d.must(a.outcome >= done && a.outcome <= refused && a.instance != 0)
	reason := d.bytes(int(d.byte()))
	d.must(len(reason) <= maxReason)
	a.reason = string(reason)
	a.vector = d.vector(d.origins())
	if d.must(len(d.b) == 0); d.bad {
		return answer{}, errMessage
	}
	return a, nil
}
