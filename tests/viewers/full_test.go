//go:build e2e

package viewers

// full has all viewers meet all servers.
const full = true
