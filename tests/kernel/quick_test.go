//go:build !e2e

package kernel

import "time"

// The quick selection.
const (
	full  = false
	many  = 100                   // sessions that are to survive
	pace  = 50 * time.Millisecond // between two words of who talks
	words = 64                    // bytes
)
