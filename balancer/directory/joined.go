package directory

// Joined tells whether every living peer has told this node all it knew, or knew
// nothing more than this node does. Without a living peer it is true only when
// there is none at all: others may still answer.
func (d *Directory) Joined() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	held := map[originID]uint64{}
	for _, m := range d.state.vector() {
		held[m.originID] = m.seq
	}
	joined := len(d.links) == 0
	for _, l := range d.links {
		switch {
		case !l.alive:
		case !l.told && !l.knowsNoMore(held):
			return false
		default:
			joined = true
		}
	}
	return joined
}

// knowsNoMore tells whether the peer has answered, and held covers what it has. It
// does not send what another one has sent already.
func (l *link) knowsNoMore(held map[originID]uint64) bool {
	for origin, seq := range l.vector {
		if held[origin] < seq {
			return false
		}
	}
	return l.vector != nil
}

// noteComplete notes that the sender of m has told everything; d.mu is held.
func (d *Directory) noteComplete(m message) {
	if m.what != relay {
		return
	}
	for _, l := range d.links {
		l.told = l.told || l.instance == m.from
	}
}
