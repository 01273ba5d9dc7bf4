//go:build e2e

package kernel

import "time"

// The full matrix. The pace is what two processors carry of a thousand.
const (
	full  = true
	many  = 1000
	pace  = 100 * time.Millisecond
	words = 64
)
