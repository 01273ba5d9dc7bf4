package statistics

import (
	"sync"
	"time"
)

// kept is how many points are remembered: ten minutes, one a second.
const kept = 600

// point is what the charts show of one second. In JSON it is an array in the
// order of the fields: the page gets hundreds.
type point struct {
	At                 int64 // Unix time in ms
	Sessions, Channels int
	Up, Down           int64 // bytes per second
}

// history holds the newest Snapshot and the points that led to it.
type history struct {
	started time.Time

	mu     sync.Mutex
	points [kept]point
	next   int // number of points ever added; the newest is next-1
	last   Snapshot
	lastAt time.Time
}

func newHistory(started time.Time) *history { return &history{started: started} }

// add takes the state at now.
func (h *history) add(now time.Time, snap Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := point{At: now.UnixMilli(), Sessions: snap.Sessions, Channels: snap.Channels}
	if took := now.Sub(h.lastAt); h.next > 0 && took > 0 {
		p.Up = perSecond(h.last.BytesUp, snap.BytesUp, took)
		p.Down = perSecond(h.last.BytesDown, snap.BytesDown, took)
	}
	h.points[h.next%kept] = p
	h.next++
	h.last, h.lastAt = snap, now
}

// perSecond is the rate of a counter; of one that was set back nothing is known.
func perSecond(from, to uint64, took time.Duration) int64 {
	if to < from {
		return 0
	}
	return int64(float64(to-from)/took.Seconds() + 0.5)
}

// view is what a page is made of.
type view struct {
	Snapshot
	At     time.Time
	Next   int
	Points []point
}

// since returns the newest state and the points from number first on, as far as
// they are kept.
func (h *history) since(first int) view {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = max(first, h.next-kept, 0)
	v := view{Snapshot: h.last, At: h.lastAt, Next: h.next}
	for n := first; n < h.next; n++ {
		v.Points = append(v.Points, h.points[n%kept])
	}
	return v
}
