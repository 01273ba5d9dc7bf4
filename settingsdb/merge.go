package settingsdb

import (
	"encoding/json"
	"net/netip"
	"reflect"
)

// Revise lays a posted document over base and checks the outcome: every
// problem of decoding and of the rules at once. With problems the returned
// document is not to be used.
func Revise(base Settings, data []byte) (Settings, Problems) {
	next, problems := Merge(base, data)
	if problems.Syntax() {
		return next, problems
	}
	return next, problems.with(next.Validate())
}

// with adds the problems of a later step that are not mere consequences: those
// of fields that p does not speak of.
func (p Problems) with(later Problems) Problems {
	all := p
	for _, problem := range later {
		if !p.covers(problem.Field) {
			all = append(all, problem)
		}
	}
	return all
}

// Merge lays a whole or partial document over base. A posted top-level key
// replaces the whole value, members missing from a posted object take their
// defaults, keys that are not posted keep the value of base. When virtual_addr
// changes its family, a virtual_prefix_len that was the former family's full
// length follows unless it is posted too. The rules are not checked, see
// [Revise]; with problems the returned document is not to be used.
func Merge(base Settings, data []byte) (Settings, Problems) {
	posted := Default()
	problems := Strict(data, &posted)
	if problems.Syntax() {
		return base, problems
	}
	given := givenKeys(data)
	next := base.filled()
	from, to := reflect.ValueOf(posted), reflect.ValueOf(&next).Elem()
	for i, key := range topLevelKeys() {
		if given[key] && !problems.at(key) {
			to.Field(i).Set(from.Field(i))
		}
	}
	if !given["virtual_prefix_len"] {
		next.VirtualPrefixLen = followFamily(base, next)
	}
	return next, problems
}

// at reports whether a problem is about exactly this field.
func (p Problems) at(field string) bool {
	for _, problem := range p {
		if problem.Field == field {
			return true
		}
	}
	return false
}

func followFamily(base, next Settings) int {
	if base.VirtualPrefixLen != fullPrefixLen(base.VirtualAddr) {
		return next.VirtualPrefixLen
	}
	return fullPrefixLen(next.VirtualAddr)
}

// fullPrefixLen is the prefix length of one single address of the family of
// addr; text that is no IPv6 address counts as IPv4.
func fullPrefixLen(addr string) int {
	if ip, err := netip.ParseAddr(addr); err == nil {
		return ip.Unmap().BitLen()
	}
	return 32
}

// givenKeys returns the top-level keys of a JSON object.
func givenKeys(data []byte) map[string]bool {
	var members map[string]json.RawMessage
	// Strict has accepted the syntax before.
	_ = json.Unmarshal(data, &members)
	given := make(map[string]bool, len(members))
	for key := range members {
		given[key] = true
	}
	return given
}
