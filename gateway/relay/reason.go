package relay

import (
	"errors"
	"os"
	"syscall"
)

// Reason says why a pair ended. Killers may give reasons of their own.
type Reason string

// Reasons the relay finds itself.
const (
	ClientClosed     Reason = "client_closed"
	VMClosed         Reason = "vm_closed"
	KeepaliveTimeout Reason = "keepalive_timeout"
	Shutdown         Reason = "shutdown"
)

// timedOut tells whether TCP gave the peer up: keepalive probes or data were
// not acknowledged in time. The kernel then reports what a router, or its own
// neighbour lookup, last said about the peer, and ETIMEDOUT only if none did.
func timedOut(err error) bool {
	for _, gone := range []error{syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, os.ErrDeadlineExceeded} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
