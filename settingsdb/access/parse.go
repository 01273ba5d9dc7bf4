package access

import (
	"fmt"
	"net/netip"
	"strings"
)

// SyntaxError is what is wrong with an entry of a list.
type SyntaxError struct {
	Position int    // of the entry in the text, in bytes, from 1
	Entry    string // as it is written
	Problem  string // what would be right
}

// Error names entry and position.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("entry %q at position %d: %s", e.Entry, e.Position, e.Problem)
}

// ParseSet reads entries with commas between them: an address, a range A-B, a network
// in CIDR form, or all. Blanks around them do not matter. The error is the
// *SyntaxError of the first entry that is none.
func ParseSet(text string) (Set, error) {
	if strings.TrimSpace(text) == "" {
		return Set{}, nil
	}
	var all []span
	for at := 0; at <= len(text); {
		raw, _, _ := strings.Cut(text[at:], ",")
		entry := strings.TrimSpace(raw)
		position := at + strings.Index(raw, entry) + 1
		if entry == "all" {
			every := everything()
			all = append(append(all, every.four...), every.six...)
		} else {
			s, problem := parseEntry(entry)
			if problem != "" {
				return Set{}, &SyntaxError{position, entry, problem}
			}
			all = append(all, s)
		}
		at += len(raw) + 1
	}
	return joined(all), nil
}

// parseEntry reads one entry, or says what is wrong with it.
func parseEntry(entry string) (span, string) {
	first, last, isRange := strings.Cut(entry, "-")
	switch {
	case entry == "":
		return span{}, "an address is missing between commas"
	case strings.Contains(entry, "/"):
		return parseNetwork(entry)
	case isRange:
		return parseRange(strings.TrimSpace(first), strings.TrimSpace(last))
	}
	a, problem := parseAddr(entry)
	return span{a, a}, problem
}

func parseAddr(text string) (netip.Addr, string) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return a, "must be an IP address, a range such as 10.0.0.1-10.0.0.5, a network such as 10.0.0.0/8, or all"
	case a.Zone() != "":
		return a, "must not have a zone: leave out %" + a.Zone()
	}
	return a.Unmap(), ""
}

func parseRange(first, last string) (span, string) {
	a, problem := parseAddr(first)
	if problem != "" {
		return span{}, problem
	}
	b, problem := parseAddr(last)
	switch {
	case problem != "":
		return span{}, problem
	case a.BitLen() != b.BitLen():
		return span{}, "both ends of a range must be IPv4, or both IPv6"
	case b.Less(a):
		return span{}, fmt.Sprintf("the range ends before it begins: write %s-%s", b, a)
	}
	return span{a, b}, ""
}

func parseNetwork(entry string) (span, string) {
	text, bits, _ := strings.Cut(entry, "/")
	a, problem := parseAddr(text)
	if problem != "" {
		return span{}, problem
	}
	if _, err := netip.ParseAddr(bits); err == nil {
		return span{}, "write the length of the prefix instead of a netmask, such as 10.0.0.0/8"
	}
	p, err := netip.ParsePrefix(entry)
	if err != nil {
		return span{}, fmt.Sprintf("the length of the prefix must be a number from 0 to %d", a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return span{}, "write IPv4 networks as IPv4, such as 10.0.0.0/8"
		}
		p = netip.PrefixFrom(a, p.Bits()-96)
	}
	if p != p.Masked() {
		return span{}, fmt.Sprintf("bits are set behind the prefix: write %s, or %s for the one address", p.Masked(), p.Addr())
	}
	return spanOf(p), ""
}
