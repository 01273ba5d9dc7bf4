package freebind

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestExplained(t *testing.T) {
	refused := &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}
	if err := Explained(refused); !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") || !errors.Is(err, syscall.EACCES) {
		t.Errorf("got %v, want the capability in it", err)
	}
	taken := fmt.Errorf("bind: %w", syscall.EADDRINUSE)
	if err := Explained(taken); !errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "CAP") {
		t.Errorf("a port that is taken: got %v, want it as it was", err)
	}
	if err := Explained(nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
}
