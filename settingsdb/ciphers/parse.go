package ciphers

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// ErrNone tells that none of the suites of a list is one that Go has, so that nobody
// could connect by TLS 1.2.
var ErrNone = errors.New("the gateway's TLS (Go's) has none of these suites")

// SyntaxError is what is wrong with an entry of a list.
type SyntaxError struct {
	Position int    // of the entry in the list, in bytes, from 1
	Entry    string // as it is written
	Problem  string // what would be right
}

// Error names entry and position.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("entry %s at position %d: %s", quoted(e.Entry), e.Position, e.Problem)
}

// Parse reads a list of suites of TLS 1.2 by OpenSSL's names, with colons between them;
// as OpenSSL does it takes commas, semicolons and blanks as well, any number of them.
// The empty list is fine. The error is the *SyntaxError of the first entry that is no
// suite, or wraps [ErrNone]; with the latter the set still says what is missing.
func Parse(list string) (Set, error) {
	var s Set
	for at, entry := range entries(list) {
		if _, has := suites[entry]; !has && !missing[entry] {
			return Set{}, &SyntaxError{at, entry, problem(entry)}
		}
		s.add(entry)
	}
	if len(s.Suites) == 0 && len(s.Missing) > 0 {
		return s, fmt.Errorf("%w: %s: name one that it has, such as %s", ErrNone, some(s.Missing), example)
	}
	return s, nil
}

// ParseSuites reads a list of suites of TLS 1.3, written like that of [Parse], and
// returns their names without repetition. The error is a *SyntaxError.
func ParseSuites(list string) ([]string, error) {
	var names []string
	for at, entry := range entries(list) {
		if !suites13[entry] {
			return nil, &SyntaxError{at, entry, problem13(entry)}
		}
		if !slices.Contains(names, entry) {
			names = append(names, entry)
		}
	}
	return names, nil
}

// entries yields what stands between separators, and the position where it begins.
func entries(list string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for at := 0; at < len(list); {
			length := strings.IndexAny(list[at:], ":,; \t")
			if length < 0 {
				length = len(list) - at
			}
			if length > 0 && !yield(at+1, list[at:at+length]) {
				return
			}
			at += length + 1
		}
	}
}

// maxNamed bounds how many names a message repeats.
const maxNamed = 5

// some are the first of names.
func some(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}
