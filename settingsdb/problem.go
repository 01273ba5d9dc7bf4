package settingsdb

import (
	"fmt"
	"strings"
)

// maxProblems bounds what one document can make us say.
const maxProblems = 1000

// Problem is one thing that is wrong with a document. Field is the path of the
// key, such as "vrrp.advert_ms" or "targets.allow[1].cidr"; it is empty when
// the text is not a JSON object at all. Message says what would be right.
type Problem struct {
	Field   string
	Message string
}

// String joins path and message.
func (p Problem) String() string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

// Problems lists everything that is wrong with a document; empty means that it
// is fine. Beyond 1000 entries the rest is left out.
type Problems []Problem

// Error implements error and lists all problems, separated by "; ".
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "; ")
}

// Err returns the problems as an error, nil when there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Syntax reports whether the text was not one JSON object in valid UTF-8, in
// contrast to an object with wrong contents.
func (p Problems) Syntax() bool {
	for _, problem := range p {
		if problem.Field == "" {
			return true
		}
	}
	return false
}

func (p *Problems) add(field, format string, args ...any) {
	if len(*p) < maxProblems {
		*p = append(*p, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// covers reports whether p already speaks of field or of what contains it.
func (p Problems) covers(field string) bool {
	for _, problem := range p {
		if within(field, problem.Field) {
			return true
		}
	}
	return false
}

func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
