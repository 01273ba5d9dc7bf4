//go:build !e2e

package vrrp

import "time"

// The quick selection.
const (
	full       = false
	freezeTime = 3 * time.Second // longer than the kernel keeps an address
	loadTime   = 10 * time.Second
	eventCount = 8
)
