package peer

// windowSize is how far, in requests, one may fall behind the newest of its
// sender. A sender has a few dozen on their way.
const windowSize = 1 << 14

// window remembers the last counts of one sender, as in RFC 4303 section 3.4.3.
// The zero value has seen none. Counts begin at 1.
type window struct {
	newest uint64
	seen   [windowSize / 64]uint64 // bit count modulo windowSize
}

// add tells whether count is new, and remembers it. What fell out of the window
// is not new.
func (w *window) add(count uint64) bool {
	if count == 0 || count+windowSize <= w.newest {
		return false
	}
	if count > w.newest {
		w.forget(w.newest+1, count)
		w.newest = count
	}
	word, bit := &w.seen[count%windowSize/64], uint64(1)<<(count%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// forget clears the places of from..to, which held older counts.
func (w *window) forget(from, to uint64) {
	if to-from >= windowSize {
		w.seen = [windowSize / 64]uint64{}
		return
	}
	for c := from; c <= to; c++ {
		w.seen[c%windowSize/64] &^= uint64(1) << (c % 64)
	}
}
