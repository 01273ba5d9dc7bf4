package settingsdb

import (
	"slices"
	"strings"
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
		distance := edits(strings.ToLower(key), known)
		if distance < least || (distance == least && best != "" && known < best) {
			best, least = known, distance
		}
	}
	return best
}

// edits is the Levenshtein distance of two texts, by bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{cost, row[j] + 1, diagonal + 1})
		}
	}
	return row[len(b)]
}
