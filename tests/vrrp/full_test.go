//go:build e2e

package vrrp

import "time"

// The full matrix.
const (
	full       = true
	freezeTime = 8 * time.Second
	loadTime   = time.Minute
	eventCount = 50
)
