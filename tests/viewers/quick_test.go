//go:build !e2e

package viewers

// full is off: TigerVNC's viewer, which takes its time, meets one server.
const full = false
