package settingsdb

import (
	"strings"

	"vdi-gateway/settingsdb/spelling"
)

// maxGuesses bounds the work that a document full of unknown keys can cause.
const maxGuesses = 50

func (d *decoder) unknown(path, key string, fields map[string][]int) {
	if d.guesses++; d.guesses <= maxGuesses && len(key) <= maxShown {
		if known := closest(key, fields); known != "" {
			d.problems.add(path, "unknown key %q, did you mean %q?", key, known)
			return
		}
	}
	d.problems.add(path, "unknown key %s", quoted(key))
}

// closest returns the known key that key is most likely a misspelling of: at
// most two letters wrong and at most half of them.
func closest(key string, fields map[string][]int) string {
	best, least := "", min(3, 1+len(key)/2)
	for known := range fields {
		distance := spelling.Distance(strings.ToLower(key), known)
		if distance < least || (distance == least && best != "" && known < best) {
			best, least = known, distance
		}
	}
	return best
}
