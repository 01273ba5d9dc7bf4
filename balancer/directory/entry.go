package directory

import (
	"net/netip"
	"time"
)

// tombstoneTime is how long a deletion is kept.
const tombstoneTime = 10 * time.Minute

// originID names one life of the process on a node.
type originID struct {
	node     netip.Addr
	instance uint64
}

// origin is where records come from. known is its vector: everything it wrote
// with a sequence number up to there is held here, or something newer of the same
// key.
type origin struct {
	originID
	known   uint64
	records int // entries in the shelves
}

// entry is a stored record. It does not change, but for superseded and the
// fields that its insertion sets.
type entry struct {
	shelf   *shelf
	text    string // key, then value: one allocation
	from    *origin
	seq     uint64 // counts what from wrote
	stamp   int64  // when it was written: Unix ns of the hybrid logical clock
	expires int64  // Unix ns; 0: never
	lsn     uint64 // position in the own order
	via     uint64 // instance that brought it; 0: written here

	keySize    uint8
	dead       bool // a deletion
	urgent     bool // written here, or replaced such a one: goes to the peers at once
	superseded bool // no longer on its shelf
}

// shelf holds the records of a kind, deletions included.
type shelf struct {
	kind    string
	entries map[string]*entry
	live    int // without deletions
}

func (e *entry) key() string   { return e.text[:e.keySize] }
func (e *entry) value() string { return e.text[e.keySize:] }

// size is about what it takes on the wire, in bytes.
func (e *entry) size() int { return len(e.text) + len(e.shelf.kind) + 32 }

// until is when it is forgotten, in Unix ns; 0: never.
func (e *entry) until() int64 {
	if e.dead {
		return e.stamp + int64(tombstoneTime)
	}
	return e.expires
}

func (e *entry) over(now time.Time) bool {
	u := e.until()
	return u != 0 && u <= now.UnixNano()
}

// beats tells whether e replaces o: both nodes must come to the same answer.
func (e *entry) beats(o *entry) bool {
	switch {
	case e.stamp != o.stamp:
		return e.stamp > o.stamp
	case e.from.node != o.from.node:
		return o.from.node.Less(e.from.node)
	}
	return e.from.instance > o.from.instance
}

// record is a copy that the caller owns.
func (e *entry) record() Record { return item{e.shelf.kind, e}.record() }

func (e item) record() Record {
	r := Record{Kind: e.kind, Key: e.key(), Node: e.from.node}
	if !e.dead {
		r.Value = []byte(e.value())
	}
	if e.expires != 0 {
		r.Expires = time.Unix(0, e.expires)
	}
	return r
}
