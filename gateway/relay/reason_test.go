package relay

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestTimedOut(t *testing.T) {
	wrapped := func(errno syscall.Errno) error {
		return &net.OpError{Op: "readfrom", Err: os.NewSyscallError("splice", errno)}
	}
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"probes or data not acknowledged", wrapped(syscall.ETIMEDOUT), true},
		{"the same, while a router calls the host unreachable", wrapped(syscall.EHOSTUNREACH), true},
		{"the same, while a router calls the network unreachable", wrapped(syscall.ENETUNREACH), true},
		{"a deadline", fmt.Errorf("read: %w", os.ErrDeadlineExceeded), true},
		{"a reset", wrapped(syscall.ECONNRESET), false},
		{"a closed peer", wrapped(syscall.EPIPE), false},
		{"closed here", net.ErrClosed, false},
		{"an end", io.ErrUnexpectedEOF, false},
	} {
		if got := timedOut(tt.err); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
