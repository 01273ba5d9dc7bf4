package api

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vdi-gateway/settingsdb"
)

const (
	// maxText bounds names and reasons, in characters.
	maxText = 256
	// maxHost is RFC 1035's bound on a host name.
	maxHost = 253
	// maxSeconds bounds times that have no bound of their own: ten years.
	maxSeconds = 10 * 366 * 24 * 3600
)

// fields collects what is wrong with a request. Its methods return the checked
// value, or the zero value of a field that is absent or wrong.
type fields struct{ problems settingsdb.Problems }

// err is nil when nothing was found.
func (f *fields) err() error { return f.problems.Err() }

// add notes a problem, unless one of the same field is known already: a field
// of the wrong type is not missing as well.
func (f *fields) add(field, format string, args ...any) {
	if !f.blamed(field) {
		f.problems = append(f.problems, settingsdb.Problem{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// blamed tells whether a problem of one of the fields is known.
func (f *fields) blamed(names ...string) bool {
	return slices.ContainsFunc(f.problems, func(p settingsdb.Problem) bool { return slices.Contains(names, p.Field) })
}

// number checks an optional whole number.
func (f *fields) number(field string, n *int, least, most int) int {
	if n == nil {
		return 0
	}
	if *n < least || *n > most {
		f.add(field, "must be %d..%d, got %d", least, most, *n)
		return 0
	}
	return *n
}

// atLeast checks an optional whole number without a told upper bound.
func (f *fields) atLeast(field string, n *int, least int) int {
	if n != nil && *n < least {
		f.add(field, "must be %d or more, got %d", least, *n)
		return 0
	}
	return f.number(field, n, least, maxSeconds)
}

// seconds checks an optional time.
func (f *fields) seconds(field string, n *int, least, most int) time.Duration {
	return time.Duration(f.number(field, n, least, most)) * time.Second
}

// text checks an optional name or remarf.
func (f *fields) text(field string, s *string) string {
	switch {
	case s == nil:
	case utf8.RuneCountInString(*s) > maxText:
		f.add(field, "must have %d characters at most", maxText)
	case strings.ContainsFunc(*s, func(r rune) bool { return !unicode.IsPrint(r) }):
		f.add(field, "must have printable characters only")
	default:
		return *s
	}
	return ""
}

// name is text that must not be empty when it is there.
func (f *fields) name(field string, s *string) string {
	if s != nil && *s == "" {
		f.add(field, "must not be empty")
	}
	return f.text(field, s)
}

// needed is text that must be there.
func (f *fields) needed(field string, s *string) string {
	if s == nil {
		f.add(field, "is required")
	}
	return f.name(field, s)
}

// host checks that s may be an IP address or a host name; the gateway looks
// closer.
func (f *fields) host(field string, s *string) string {
	host := f.name(field, s)
	odd := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:", r)
	}
	if host != "" && (len(host) > maxHost || strings.ContainsFunc(host, odd)) {
		f.add(field, "must be an IP address or a host name")
		return ""
	}
	return host
}

// address checks an optional IP address.
func (f *fields) address(field string, s *string) netip.Addr {
	if s == nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(*s)
	if err != nil || a.Zone() != "" {
		f.add(field, "must be an IP address without a zone")
		return netip.Addr{}
	}
	return a.Unmap()
}

// choice checks that an optional text is one of a few.
func (f *fields) choice(field string, s *string, among ...string) string {
	if s == nil || slices.Contains(among, *s) {
		return value(s)
	}
	f.add(field, "must be one of %s", strings.Join(among, ", "))
	return ""
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
