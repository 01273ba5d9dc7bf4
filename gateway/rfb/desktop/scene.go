package desktop

import "time"

const (
	markSlots     = 12
	trailSlots    = 14
	trailLife     = 900 * time.Millisecond
	statusEvery   = 500 * time.Millisecond
	buttonsMarked = 0x07 // left, middle, right: the others are wheels
)

// scene is what the picture shows, as a value. Its time comes with the call.
type scene struct {
	page      page
	lastKey   uint32
	keys      int
	clipboard clipboard
	marks     [markSlots]mark
	nextMark  int
	trail     [trailSlots]footprint
	nextStep  int
	status    tick // as shown
	statusAt  time.Time
}

// mark is where a button was pressed.
type mark struct {
	x, y   int
	button uint8 // mask; 0: no mark
}

// footprint is where the pointer was; a zero time is none.
type footprint struct {
	x, y int
	at   time.Time
}

// event is something that happens to a scene.
type event interface{ happen(s *scene, now time.Time) }

// keyPress is a key going down, by its X11 keysym.
type keyPress struct{ sym uint32 }

// pointerAt is the pointer's place and the buttons that went down there.
type pointerAt struct {
	x, y    int
	pressed uint8
}

// clipboard is the beginning of a client's clipboard and the length of all.
type clipboard struct {
	text string
	size int
}

// tick is a frame that begins, and the counters at its time.
type tick struct {
	frames, in, out int64
	viewers         int
}

func newScene(l layout) scene {
	s := scene{page: page{columns: l.columns, rows: l.rows}}
	for _, c := range []byte("Type here, click anywhere.\n\n") {
		s.page = s.page.typed(c)
	}
	return s
}

// step is the scene after e at now. It does not change s.
func (s scene) step(now time.Time, e event) scene {
	e.happen(&s, now)
	return s
}

func (k keyPress) happen(s *scene, _ time.Time) {
	s.lastKey = k.sym
	s.keys++
	if c, ok := character(k.sym); ok {
		s.page = s.page.typed(c)
	}
}

func (p pointerAt) happen(s *scene, now time.Time) {
	s.trail[s.nextStep] = footprint{p.x, p.y, now}
	s.nextStep = (s.nextStep + 1) % trailSlots
	if b := p.pressed & buttonsMarked; b != 0 {
		s.marks[s.nextMark] = mark{p.x, p.y, b}
		s.nextMark = (s.nextMark + 1) % markSlots
	}
}

func (c clipboard) happen(s *scene, _ time.Time) { s.clipboard = c }

// A tick shows new counters now and then only: they change with every frame
// and would be the largest part of each.
func (t tick) happen(s *scene, now time.Time) {
	if now.Sub(s.statusAt) >= statusEvery || now.Before(s.statusAt) {
		s.status, s.statusAt = t, now
	}
}
