package desktop

const maxRows = 32

// Control characters as a page takes them.
const (
	backspace = '\b'
	newline   = '\n'
	clearPage = '\f'
)

// page is the text typed so far. The last line is where typing goes on; when
// the page is full the first line leaves.
type page struct {
	columns, rows int
	lines         [maxRows]string
	last          int // line typed into
}

func (p page) typed(c byte) page {
	switch {
	case c == clearPage:
		return page{columns: p.columns, rows: p.rows}
	case c == backspace:
		return p.shortened()
	case c == newline:
		return p.broken()
	case len(p.lines[p.last]) == p.columns:
		p = p.broken()
	}
	p.lines[p.last] += string(rune(c))
	return p
}

func (p page) shortened() page {
	if n := len(p.lines[p.last]); n > 0 {
		p.lines[p.last] = p.lines[p.last][:n-1]
	} else if p.last > 0 {
		p.last--
	}
	return p
}

func (p page) broken() page {
	if p.last+1 < p.rows {
		p.last++
		return p
	}
	copy(p.lines[:p.rows-1], p.lines[1:p.rows])
	p.lines[p.last] = ""
	return p
}

// Keysyms, as X11 numbers them (RFC 6143 section 7.5.4).
const (
	symBackSpace    = 0xff08
	symTab          = 0xff09
	symReturn       = 0xff0d
	symEscape       = 0xff1b
	symKeypadEnter  = 0xff8d
	symKeypadStar   = 0xffaa // from here to the nine the keypad is in ASCII's order
	symKeypadNine   = 0xffb9
	symUnicode      = 0x01000000
	symUnicodeLimit = 0x01110000
)

// character is what a key types: ASCII, a control character of a page, or
// unknownGlyph for what the font lacks. Keys that type nothing give false.
func character(sym uint32) (byte, bool) {
	switch {
	case sym >= ' ' && sym < 0x7f:
		return byte(sym), true
	case sym >= symKeypadStar && sym <= symKeypadNine:
		return byte(sym - symKeypadStar + '*'), true
	case sym >= 0xa0 && sym <= 0xff, sym > symUnicode+0x7f && sym < symUnicodeLimit:
		return unknownGlyph, true
	case sym > symUnicode && sym <= symUnicode+0x7e:
		return character(sym - symUnicode)
	}
	switch sym {
	case symBackSpace:
		return backspace, true
	case symReturn, symKeypadEnter:
		return newline, true
	case symTab:
		return ' ', true
	case symEscape:
		return clearPage, true
	}
	return 0, false
}
