package original

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxSize bounds a file, in bytes; a real one has a few thousand.
const MaxSize = 1 << 20

// maxErrors bounds what one file can make us say.
const maxErrors = 20

// SyntaxError is what is wrong with a line of a file.
type SyntaxError struct {
	Line    int    // from 1
	Problem string // what would be right
}

// Error names the line.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// lines cuts a file into lines that are not empty, with their numbers from 1.
func lines(file []byte) ([]string, error) {
	if len(file) > MaxSize {
		return nil, fmt.Errorf("a file of at most %d bytes is expected", MaxSize)
	}
	if at := bytes.IndexByte(file, 0); at >= 0 {
		return nil, &SyntaxError{1 + bytes.Count(file[:at], []byte("\n")), "a NUL byte: this must be a text file"}
	}
	if !utf8.Valid(file) {
		for i, line := range bytes.Split(file, []byte("\n")) {
			if !utf8.Valid(line) {
				return nil, &SyntaxError{i + 1, "this must be UTF-8"}
			}
		}
	}
	return strings.Split(strings.ReplaceAll(string(file), "\r\n", "\n"), "\n"), nil
}

// problems collects what is wrong, and stops at some point.
type problems []error

func (p *problems) add(line int, problem string) {
	if len(*p) < maxErrors {
		*p = append(*p, &SyntaxError{line, problem})
	}
}

func (p problems) err() error { return errors.Join(p...) }

const unclosed = "a quote is not closed"

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }
