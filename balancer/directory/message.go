package directory

import (
	"encoding/binary"
	"errors"
)

// On the wire (uv: an unsigned varint, the rest big endian):
//
//	message  version 1 | what 1 | complete 1 | sender's instance 8 |
//	         receiver's instance 8, 0: whichever | origins | vector | uv count, records
//	answer   version 1 | outcome 1 | instance 8 | reason: size 1, text | origins | vector
//	origins  uv count, each: size 1, address 4 or 16 | instance 8
//	vector   uv count, each: uv origin, uv sequence number
//	record   flags 1 | uv origin | uv seq | uv stamp | uv expires |
//	         size 1, kind | size 1 of key, uv size of value, key, value
const (
	version    = 1
	maxOrigins = 1024 // in a message
	maxReason  = 200  // bytes
	flagDead   = 1
)

// What a message is.
const (
	ask   byte = iota + 1 // who are you, and what do you know?
	push                  // what was written at the sender
	relay                 // what others wrote
	share                 // one record, to be accepted or refused
)

// What an answer says.
const (
	done     byte = iota + 1
	stranger      // the receiver is another instance, the one in the answer
	later         // it is being told a lot by another peer
	tooNew        // a stamp is too far in the future
	refused       // Accept said so
)

var errMessage = errors.New("not a message of a directory: do the nodes run different versions?")

// mark is a sequence number in a vector.
type mark struct {
	originID
	seq uint64
}

// item is an entry on its way.
type item struct {
	kind string
	*entry
}

type message struct {
	what     byte
	complete bool   // push, relay: nothing remains to be sent, and vector is true
	from, to uint64 // instances
	vector   []mark
	items    []item
}

type answer struct {
	outcome  byte
	instance uint64
	reason   string
	vector   []mark
}

// table numbers the origins of a message as they come up.
type table struct {
	ids   []originID
	index map[originID]uint64
}

func (t *table) number(id originID) uint64 {
	n, ok := t.index[id]
	if !ok {
		n = uint64(len(t.ids))
		t.ids = append(t.ids, id)
		t.index[id] = n
	}
	return n
}

func (t *table) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(t.ids)))
	for _, id := range t.ids {
		address := id.node.AsSlice()
		b = append(b, byte(len(address)))
		b = append(b, address...)
		b = binary.BigEndian.AppendUint64(b, id.instance)
	}
	return b
}

func (m message) encode() []byte {
	t := &table{index: map[originID]uint64{}}
	body := appendVector(nil, t, m.vector)
	body = binary.AppendUvarint(body, uint64(len(m.items)))
	for _, i := range m.items {
		body = i.append(body, t)
	}
	b := make([]byte, 0, len(body)+64)
	b = append(b, version, m.what, flag(m.complete, 1))
	b = binary.BigEndian.AppendUint64(b, m.from)
	b = binary.BigEndian.AppendUint64(b, m.to)
	return append(t.append(b), body...)
}

func (i item) append(b []byte, t *table) []byte {
	b = append(b, flag(i.dead, flagDead))
	b = binary.AppendUvarint(b, t.number(i.from.originID))
	b = binary.AppendUvarint(b, i.seq)
	b = binary.AppendUvarint(b, uint64(i.stamp))
	b = binary.AppendUvarint(b, uint64(i.expires))
	b = append(b, byte(len(i.kind)))
	b = append(b, i.kind...)
	b = append(b, i.keySize)
	b = binary.AppendUvarint(b, uint64(len(i.value())))
	return append(b, i.text...)
}

func appendVector(b []byte, t *table, vector []mark) []byte {
	b = binary.AppendUvarint(b, uint64(len(vector)))
	for _, m := range vector {
		b = binary.AppendUvarint(b, t.number(m.originID))
		b = binary.AppendUvarint(b, m.seq)
	}
	return b
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func (a answer) encode() []byte {
	t := &table{index: map[originID]uint64{}}
	vector := appendVector(nil, t, a.vector)
	b := []byte{version, a.outcome}
	b = binary.BigEndian.AppendUint64(b, a.instance)
	reason := a.reason[:min(len(a.reason), maxReason)]
	b = append(b, byte(len(reason)))
	b = append(b, reason...)
	return append(t.append(b), vector...)
}
