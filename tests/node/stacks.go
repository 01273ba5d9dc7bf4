package node

import (
	"regexp"
	"strings"
)

var stackStart = regexp.MustCompile(`(?m)^goroutine \d+ .*\[`)

// stacks cuts a dump of Go's runtime into goroutines.
func stacks(dump string) []string {
	var all []string
	starts := stackStart.FindAllStringIndex(dump, -1)
	for i, at := range starts {
		end := len(dump)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		text, _, _ := strings.Cut(dump[at[0]:end], "\n\n")
		all = append(all, text)
	}
	return all
}
