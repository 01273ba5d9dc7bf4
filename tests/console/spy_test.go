package console

import (
	"encoding/binary"
	"maps"
	"slices"
)

// spy understands what a client says to a desktop that asks nobody who he is (RFC
// 6143 section 7.5, and the extensions noVNC speaks).
type spy struct {
	rest   []byte // not understood yet
	began  bool   // the handshake is over
	keys   []key
	clicks []point // where the left button went down
	cuts   []string
}

// key is a key that went down or up, by its X11 keysym.
type key struct {
	sym  uint32
	down bool
}

type point struct{ x, y int }

// handshake are the bytes before the first message: a version, a security type, the
// shared flag.
const handshake = 12 + 1 + 1

// begin is for a connection of its own; what was heard stays.
func (s *spy) begin() { s.rest, s.began = nil, false }

func (s *spy) copy() spy {
	return spy{keys: slices.Clone(s.keys), clicks: slices.Clone(s.clicks), cuts: slices.Clone(s.cuts)}
}

func (s *spy) hear(p []byte) {
	s.rest = append(s.rest, p...)
	if !s.began {
		if len(s.rest) < handshake {
			return
		}
		s.rest, s.began = s.rest[handshake:], true
	}
	for len(s.rest) > 0 {
		n := length(s.rest)
		if n == 0 || n > len(s.rest) {
			return
		}
		s.message(s.rest[:n])
		s.rest = s.rest[n:]
	}
}

// length is that of the message b begins with; 0: more has to come.
func length(b []byte) int {
	counted := func(at, head, each int) int {
		if len(b) < head {
			return 0
		}
		return head + each*int(binary.BigEndian.Uint16(b[at:]))
	}
	switch b[0] {
	case 0:
		return 20
	case 2:
		return counted(2, 4, 4)
	case 4:
		return 8
	case 5:
		return 6
	case 6:
		if len(b) < 8 {
			return 0
		}
		return 8 + int(max(int32(binary.BigEndian.Uint32(b[4:])), -int32(binary.BigEndian.Uint32(b[4:]))))
	case 248:
		if len(b) < 9 {
			return 0
		}
		return 9 + int(b[8])
	case 251:
		if len(b) < 8 {
			return 0
		}
		return 8 + 16*int(b[6])
	case 255:
		return 12
	default: // 3, 150: requests for updates
		return 10
	}
}

func (s *spy) message(b []byte) {
	switch b[0] {
	case 4:
		s.keys = append(s.keys, key{binary.BigEndian.Uint32(b[4:]), b[1] != 0})
	case 255:
		s.keys = append(s.keys, key{binary.BigEndian.Uint32(b[4:]), b[3] != 0})
	case 5:
		if b[1]&1 != 0 {
			s.clicks = append(s.clicks, point{int(binary.BigEndian.Uint16(b[2:])), int(binary.BigEndian.Uint16(b[4:]))})
		}
	case 6:
		s.cuts = append(s.cuts, string(b[8:]))
	}
}

// letters are keysyms that are not the code of their letter.
var letters = map[uint32]rune{0x6d6: 'ж', 0x6c4: 'д', 0x6c1: 'а', 0x20ac: '€', 0xff0d: '⏎', 0xff08: '⌫'}

// text is what the keys that went down write, without those that write nothing.
func (s *spy) text() string {
	var text []rune
	for _, k := range s.keys {
		r, there := letters[k.sym]
		switch {
		case !k.down:
		case there:
			text = append(text, r)
		case k.sym < 0x100:
			text = append(text, rune(k.sym))
		case k.sym > 0x1000000:
			text = append(text, rune(k.sym-0x1000000))
		}
	}
	return string(text)
}

// held are the keys that went down and not up.
func (s *spy) held() []uint32 {
	down := map[uint32]bool{}
	for _, k := range s.keys {
		down[k.sym] = k.down
	}
	maps.DeleteFunc(down, func(_ uint32, is bool) bool { return !is })
	return slices.Collect(maps.Keys(down))
}
