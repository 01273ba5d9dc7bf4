package directory

import (
	"net/netip"
	"time"
)

// maxAhead is how far a stamp may be ahead of the own clock.
const maxAhead = time.Minute

// state is everything a node knows of records. It decides and never acts; the
// Directory guards it.
type state struct {
	self    *origin
	last    int64               // highest stamp given or seen
	seq     uint64              // of the newest own record
	pending map[uint64]struct{} // own seqs whose Share is under way
	origins map[originID]*origin
	shelves map[string]*shelf
	count   int // entries in the shelves
	bytes   int // of their texts
	log     history
	bulk    bulk
}

func newState(instance uint64) *state {
	s := &state{pending: map[uint64]struct{}{}, origins: map[originID]*origin{}, shelves: map[string]*shelf{}}
	s.self = s.origin(originID{instance: instance})
	return s
}

// rename makes node the own address. What was written under a former one stays.
func (s *state) rename(node netip.Addr) {
	if s.self.node == node {
		return
	}
	s.self.known = s.known()
	s.self = s.origin(originID{node: node, instance: s.self.instance})
}

func (s *state) origin(id originID) *origin {
	o := s.origins[id]
	if o == nil {
		o = &origin{originID: id}
		s.origins[id] = o
	}
	return o
}

// known is the own sequence number up to which every record is in the log.
func (s *state) known() uint64 {
	least := s.seq + 1
	for seq := range s.pending {
		least = min(least, seq)
	}
	return least - 1
}

// compose makes r an entry written here and now, not stored yet.
func (s *state) compose(r Record, dead bool, now time.Time) *entry {
	s.last = max(s.last+1, now.UnixNano())
	s.seq++
	e := &entry{
		text: r.Key + string(r.Value), keySize: uint8(len(r.Key)),
		from: s.self, seq: s.seq, stamp: s.last, dead: dead,
	}
	if !r.Expires.IsZero() {
		e.expires = r.Expires.UnixNano()
	}
	return e
}

// put stores r as written here; false: there is no room.
func (s *state) put(r Record, now time.Time) bool {
	return s.insert(r.Kind, s.compose(r, false, now)) != full
}

// remove stores a deletion; false: there is nothing to delete.
func (s *state) remove(kind, key string, now time.Time) bool {
	return s.get(kind, key, now) != nil && s.bury(kind, key, now)
}

// withdraw replaces, everywhere, what Share has offered by what was here before.
func (s *state) withdraw(i item, now time.Time) {
	delete(s.pending, i.seq)
	e := s.get(i.kind, i.key(), now)
	if e != nil && (e.seq != i.seq || e.from.originID != i.from.originID) { // not brought by a peer
		s.put(e.record(), now)
		return
	}
	s.bury(i.kind, i.key(), now)
}

// bury stores a deletion also of what is not there.
func (s *state) bury(kind, key string, now time.Time) bool {
	return s.insert(kind, s.compose(Record{Kind: kind, Key: key}, true, now)) != full
}

// get returns a record that is to be seen, or nil.
func (s *state) get(kind, key string, now time.Time) *entry {
	if e := s.current(kind, key); e != nil && e.visible(now) {
		return e
	}
	return nil
}

// current returns what is stored under a key, also a deletion; or nil.
func (s *state) current(kind, key string) *entry {
	if sh := s.shelves[kind]; sh != nil {
		return sh.entries[key]
	}
	return nil
}

func (e *entry) visible(now time.Time) bool { return !e.dead && !e.over(now) }

func (s *state) all(kind string, now time.Time) []Record {
	sh := s.shelves[kind]
	if sh == nil {
		return nil
	}
	found := make([]Record, 0, sh.live)
	for _, e := range sh.entries {
		if e.visible(now) {
			found = append(found, e.record())
		}
	}
	return found
}

func (s *state) shelf(kind string) *shelf {
	sh := s.shelves[kind]
	if sh == nil {
		sh = &shelf{kind: kind, entries: map[string]*entry{}}
		s.shelves[kind] = sh
	}
	return sh
}

// verdict is what became of an entry.
type verdict uint8

const (
	stored verdict = iota
	stale          // the same or a newer one is there, or it has expired
	ahead          // its stamp is too far in the future
	full           // there is no room
)

// judge tells what would become of an entry.
func (s *state) judge(kind string, e *entry, now time.Time) verdict {
	switch cur := s.current(kind, e.key()); {
	case e.stamp > now.Add(maxAhead).UnixNano():
		return ahead
	case e.over(now), cur != nil && !e.beats(cur):
		return stale
	case cur == nil && s.count >= MaxRecords:
		return full
	}
	return stored
}

// learn stores an entry that came in and that judge allowed. Seen tells whether
// readers notice.
func (s *state) learn(kind string, e *entry, now time.Time) (seen bool) {
	cur := s.current(kind, e.key())
	s.last = max(s.last, e.stamp)
	return s.insert(kind, e) == stored && (!e.dead || cur != nil && cur.visible(now))
}

// insert puts e on its shelf and at the end of the log, unless it is stale.
func (s *state) insert(kind string, e *entry) verdict {
	e.shelf = s.shelf(kind)
	e.from = s.origin(e.from.originID)
	cur := e.shelf.entries[e.key()]
	switch {
	case cur == nil && s.count >= MaxRecords:
		return full
	case cur != nil && !e.beats(cur):
		return stale
	}
	e.urgent = e.via == 0 || cur != nil && cur.urgent
	s.place(e, cur)
	return stored
}

// place puts e where cur was, if any, and at the end of the log.
func (s *state) place(e, cur *entry) {
	e.from.records++
	if cur != nil {
		s.drop(cur)
	}
	e.shelf.entries[e.key()] = e
	s.count++
	s.bytes += len(e.text)
	if !e.dead {
		e.shelf.live++
	}
	s.log.add(e)
}

// settle stores what Share has offered. If a peer brought it, or a newer one,
// meanwhile, that goes to the peers at once in its place: known counts on it.
func (s *state) settle(i item) verdict {
	delete(s.pending, i.seq)
	v := s.insert(i.kind, i.entry)
	if v == stale {
		cur := s.current(i.kind, i.key())
		again := *cur
		again.urgent = true
		s.place(&again, cur)
	}
	return v
}

// drop takes e off its shelf.
func (s *state) drop(e *entry) {
	delete(e.shelf.entries, e.key())
	s.count--
	s.bytes -= len(e.text)
	if !e.dead {
		e.shelf.live--
	}
	if e.from.records--; e.from.records == 0 && e.from != s.self {
		delete(s.origins, e.from.originID)
	}
	s.log.supersede(e)
}

// sweep forgets some of what has expired and returns the records of other nodes
// among it that could be seen.
func (s *state) sweep(now time.Time) []Record {
	var gone []Record
	for _, e := range s.log.walk() {
		if e.superseded || !e.over(now) {
			continue
		}
		if !e.dead && e.from != s.self {
			gone = append(gone, e.record())
		}
		s.drop(e)
	}
	return gone
}
