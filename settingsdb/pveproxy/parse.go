package pveproxy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSize bounds a file, in bytes; a real one has some hundred.
const MaxSize = 1 << 20

// maxErrors bounds what one file can make us say.
const maxErrors = 20

// Assignment is one KEY=value of a file.
type Assignment struct {
	Line  int // where it begins, from 1
	Key   string
	Value string // without quotes and backslashes
}

// SyntaxError is what is wrong with a line of a file.
type SyntaxError struct {
	Line    int    // from 1
	Problem string // what would be right
}

// Error names the line.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// Parse reads the assignments of a file, in their order. The error joins a *SyntaxError
// for every line that is wrong, the first 20 of them; there are no assignments then.
func Parse(file []byte) ([]Assignment, error) {
	if len(file) > MaxSize {
		return nil, fmt.Errorf("a file of at most %d bytes is expected", MaxSize)
	}
	if at := bytes.IndexByte(file, 0); at >= 0 {
		return nil, &SyntaxError{1 + bytes.Count(file[:at], []byte("\n")), "a NUL byte: this must be a text file"}
	}
	s := scanner{text: strings.ReplaceAll(string(file), "\r\n", "\n"), line: 1}
	var all []Assignment
	var wrong []error
	for !s.ended() && len(wrong) < maxErrors {
		found, err := s.statement()
		if err != nil {
			wrong = append(wrong, err)
			s.skipLine()
		}
		all = append(all, found...)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return all, nil
}

// statement reads one line and those it goes on in: assignments, or nothing.
func (s *scanner) statement() ([]Assignment, error) {
	var found []Assignment
	exported := false
	for {
		s.skip(blank)
		switch s.peek() {
		case end, '\n':
			if exported && len(found) == 0 {
				return nil, s.wrong(s.line, `export is a command without an assignment: write export KEY="value"`)
			}
			s.advance()
			return found, nil
		case '#':
			s.skipComment()
			continue
		}
		line := s.line
		name := s.take(nameByte)
		if name == "export" && !exported && len(found) == 0 && blank(s.peek()) {
			exported = true
			continue
		}
		a, err := s.assignment(line, name)
		if err != nil {
			return nil, err
		}
		found = append(found, a)
	}
}

// assignment reads what follows a name.
func (s *scanner) assignment(line int, name string) (Assignment, error) {
	a := Assignment{Line: line, Key: name}
	if problem := s.notAssigned(name); problem != "" {
		return a, &SyntaxError{line, problem}
	}
	s.advance()
	value, err := s.word()
	if err != nil {
		return a, err
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return a, &SyntaxError{line, fmt.Sprintf("the value of %s must be UTF-8 without control characters", name)}
	}
	a.Value = value
	return a, nil
}

// notAssigned says why no value can be assigned to what begins with name, "" if one can.
func (s *scanner) notAssigned(name string) string {
	next, proper := s.peek(), name != "" && (name[0] < '0' || name[0] > '9')
	switch {
	case proper && next == '=':
		return ""
	case proper && next == '+':
		return fmt.Sprintf("%s is added to: write %[1]s= with the whole value", name)
	case proper && next == '[':
		return fmt.Sprintf("%s is a list of a shell: write %[1]s= with one value", name)
	}
	return fmt.Sprintf(`%s is no assignment: write KEY="value" without blanks around =, and without commands`,
		shown(name+s.rest()))
}
