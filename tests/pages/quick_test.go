//go:build !e2e

package pages

// full is off: one of each kind.
const full = false
