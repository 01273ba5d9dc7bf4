package directory

// Joined tells whether every living peer has told this node all it knew. Without
// a living peer it is true only when there is none at all: others may still
// answer.
func (d *Directory) Joined() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	joined := len(d.links) == 0
	for _, l := range d.links {
		switch {
		case !l.alive:
		case !l.told && !l.knowsNothing():
			return false
		default:
			joined = true
		}
	}
	return joined
}

// knowsNothing tells whether the peer has answered, and has no record to tell of.
func (l *link) knowsNothing() bool {
	for _, seq := range l.vector {
		if seq > 0 {
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
