package directory

import (
	"slices"
	"sort"
)

// history is the order in which entries were stored. Those superseded stay in it
// until they are many.
type history struct {
	entries    []*entry // by lsn
	superseded int
	lsn        uint64 // of the newest entry
	urgent     uint64 // lsn of the newest urgent one
	walked     uint64 // lsn up to which walk has come
}

func (h *history) add(e *entry) {
	h.lsn++
	e.lsn = h.lsn
	if e.urgent {
		h.urgent = e.lsn
	}
	h.entries = append(h.entries, e)
}

func (h *history) supersede(e *entry) {
	e.superseded = true
	h.superseded++
	if h.superseded < 1024 || h.superseded < len(h.entries)/2 {
		return
	}
	h.entries = slices.DeleteFunc(h.entries, func(e *entry) bool { return e.superseded })
	h.entries = slices.Clip(slices.Clone(h.entries))
	h.superseded = 0
}

// after returns the entries from beyond lsn on.
func (h *history) after(lsn uint64) []*entry {
	i := sort.Search(len(h.entries), func(i int) bool { return h.entries[i].lsn > lsn })
	return h.entries[i:]
}

// walk returns a part of the entries, a copy, every time the next one: all of
// them in some twenty calls.
func (h *history) walk() []*entry {
	rest := h.after(h.walked)
	part := slices.Clone(rest[:min(len(rest), 1024+len(h.entries)/20)])
	h.walked = 0
	if len(part) < len(rest) {
		h.walked = part[len(part)-1].lsn
	}
	return part
}

// chunk is what a message takes of a history.
type chunk struct {
	entries  []*entry
	to       uint64 // lsn up to which everything was taken or passed over
	complete bool   // to is the end
}

// take collects entries after lsn that pick wants, until they have size bytes.
func (h *history) take(lsn uint64, size int, pick func(*entry) bool) chunk {
	c := chunk{to: lsn}
	for _, e := range h.after(lsn) {
		if !e.superseded && pick(e) {
			if size -= e.size(); size < 0 && len(c.entries) > 0 {
				return c
			}
			c.entries = append(c.entries, e)
		}
		c.to = e.lsn
	}
	c.to, c.complete = h.lsn, true
	return c
}
