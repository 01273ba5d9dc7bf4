package pveproxy

import (
	"fmt"
	"strconv"
	"strings"
)

// scanner goes through a text byte by byte, as a shell does.
type scanner struct {
	text string
	at   int
	line int
}

// end is what peek returns behind the last byte; a text never holds it.
const end = 0

func (s *scanner) ended() bool { return s.peek() == end }

// peek returns the next byte. A backslash at the end of a line joins it with the next one
// and is not seen.
func (s *scanner) peek() byte {
	for strings.HasPrefix(s.text[s.at:], "\\\n") {
		s.at += 2
		s.line++
	}
	if s.at == len(s.text) {
		return end
	}
	return s.text[s.at]
}

// advance goes behind the byte that peek has shown.
func (s *scanner) advance() {
	if s.at == len(s.text) {
		return
	}
	if s.text[s.at] == '\n' {
		s.line++
	}
	s.at++
}

// take reads bytes of a kind.
func (s *scanner) take(kind func(byte) bool) string {
	var out strings.Builder
	for c := s.peek(); c != end && kind(c); c = s.peek() {
		out.WriteByte(c)
		s.advance()
	}
	return out.String()
}

func (s *scanner) skip(kind func(byte) bool) { _ = s.take(kind) }

// skipLine goes to the next line, or to the one behind those that the line goes on in.
func (s *scanner) skipLine() {
	s.skip(func(c byte) bool { return c != '\n' })
	s.advance()
}

// skipComment goes to the end of the line, which a backslash in a comment does not join.
func (s *scanner) skipComment() {
	s.at += len(s.rest())
}

// rest is what remains of the line.
func (s *scanner) rest() string {
	rest, _, _ := strings.Cut(s.text[s.at:], "\n")
	return rest
}

// word reads a value up to a blank or the end of the line: any number of pieces, quoted
// or not.
func (s *scanner) word() (string, error) {
	var out strings.Builder
	for {
		c := s.peek()
		if c == end || c == '\n' || blank(c) {
			return out.String(), nil
		}
		if c == '~' && (out.Len() == 0 || strings.HasSuffix(out.String(), ":")) {
			return "", s.wrong(s.line, "~ stands for a folder that only a shell knows: write its path, or quotes around it")
		}
		if err := s.piece(&out, c); err != nil {
			return "", err
		}
	}
}

// piece reads one byte, or what is between quotes.
func (s *scanner) piece(out *strings.Builder, c byte) error {
	switch c {
	case '\'':
		return s.single(out)
	case '"':
		return s.double(out)
	case '\\':
		return s.escaped(out)
	}
	if problem := special(c); problem != "" {
		return s.wrong(s.line, problem)
	}
	out.WriteByte(c)
	s.advance()
	return nil
}

// special says why a byte outside of quotes needs a shell, "" if it does not.
func special(c byte) string {
	switch c {
	case '$':
		return variable
	case '`':
		return command
	case '{': // expanded behind export alone, but who knows that
		return "{ may stand for several words: write quotes around a value that holds it"
	case ';', '&', '|', '<', '>', '(', ')':
		return fmt.Sprintf("%c belongs to commands, which are not run: write one assignment a line, and quotes around a value that holds it", c)
	}
	return ""
}

const (
	variable = `$ stands for what only a shell knows: write the value itself, or \$ for a dollar sign`
	command  = "` encloses a command, and none is run: write the value itself, or \\` for the sign"
)

// single reads what is between single quotes, where nothing has a meaning.
func (s *scanner) single(out *strings.Builder) error {
	s.advance()
	length := strings.IndexAny(s.text[s.at:], "'\n")
	if length < 0 || s.text[s.at+length] == '\n' {
		return s.wrong(s.line, "the quote ' is not closed on its line")
	}
	out.WriteString(s.text[s.at : s.at+length])
	s.at += length + 1
	return nil
}

// double reads what is between double quotes, where $, ` and backslashes keep their
// meaning.
func (s *scanner) double(out *strings.Builder) error {
	opened := s.line
	s.advance()
	for {
		switch c := s.peek(); c {
		case '"':
			s.advance()
			return nil
		case end, '\n':
			return s.wrong(opened, `the quote " is not closed on its line, nor in one that it is joined with by a \ at its end`)
		case '$':
			return s.wrong(s.line, variable)
		case '`':
			return s.wrong(s.line, command)
		case '\\':
			s.advance()
			if next := s.text[s.at:]; next == "" || !strings.ContainsRune("$`\"\\", rune(next[0])) {
				out.WriteByte(c)
				continue
			}
		}
		out.WriteByte(s.text[s.at])
		s.advance()
	}
}

// escaped reads a backslash and the byte behind it, which has no meaning then.
func (s *scanner) escaped(out *strings.Builder) error {
	s.advance()
	if s.at == len(s.text) {
		return s.wrong(s.line, `a \ at the end of the file: leave it out`)
	}
	out.WriteByte(s.text[s.at])
	s.advance()
	return nil
}

func (s *scanner) wrong(line int, problem string) error { return &SyntaxError{line, problem} }

func blank(c byte) bool { return c == ' ' || c == '\t' }

func nameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// maxShown is how many bytes of a line are repeated in a message.
const maxShown = 40

// shown is the first word of text, for a message.
func shown(text string) string {
	if at := strings.IndexAny(text, " \t"); at > 0 {
		text = text[:at]
	}
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return strconv.Quote(text)
}
