package settingsdb

import "slices"

// IsOriginal reports whether data is a document of the original: a JSON object
// that holds at least one of the 13 keys and no other.
func IsOriginal(data []byte) bool {
	if syntax(data) != "" {
		return false
	}
	keys := topLevelKeys()[:originalKeys]
	given := givenKeys(data)
	for key := range given {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return len(given) > 0
}

// Original converts a document of the original: its 13 keys over our defaults,
// a generated cluster_key, and targets.require_ticket false, since its clients
// know no tickets. Any other key is a problem, and the result is checked by
// all rules.
func Original(data []byte) (Settings, Problems) {
	base := Default()
	base.ClusterKey = NewKey()
	base.Targets.RequireTicket = false
	next, problems := Revise(base, data)
	if problems.Syntax() {
		return next, problems
	}
	given := givenKeys(data)
	for _, key := range topLevelKeys()[originalKeys:] {
		if given[key] {
			problems.add(key, "is not a key of an original document, which holds the first %d keys only", originalKeys)
		}
	}
	return next, problems
}
