//go:build race

package node

// buildFlags make the program under test like the one that tests it.
const buildFlags = "-race"
