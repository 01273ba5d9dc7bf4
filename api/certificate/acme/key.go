package acme

import (
	"fmt"
	"path"
	"strings"
)

// Limits of the store: certmagic's values have some kilobytes, its keys four parts.
const (
	maxKey   = 1024
	maxPart  = 250 // a name of a file, with room for that of its successor
	maxParts = 6
	maxValue = 64 << 10
)

// checkKey says why a key is none. Keys become paths of files, and those of other
// nodes come from outside: a part begins with no dot, so there is no "..", nothing
// hidden, and none of the names of files under way.
func checkKey(key string) error {
	parts := strings.Split(key, "/")
	if len(key) > maxKey || len(parts) < 2 || len(parts) > maxParts {
		return fmt.Errorf("%.80q is no key: it has 2 to %d parts", key, maxParts)
	}
	for _, part := range parts {
		if part == "" || len(part) > maxPart || part[0] == '.' || strings.ContainsFunc(part, notInKey) {
			return fmt.Errorf("%.80q is no key: letters, digits and _ - @ . are allowed, no part begins with a dot", key)
		}
	}
	return nil
}

func notInKey(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-@.", r)
}

// isChallenge tells whether a folder holds challenges.
func isChallenge(name string) bool { return path.Base(name) == "challenge_tokens" }
