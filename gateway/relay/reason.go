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
// not acknowledged in time.
func timedOut(err error) bool {
	return errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, os.ErrDeadlineExceeded)
}
