package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ErrNotAllowed is the cause when this user may not make namespaces here.
var ErrNotAllowed = errors.New("network namespaces need root, or user namespaces for everybody")

// ownSpace is the namespace of the thread that opens it.
const ownSpace = "/proc/thread-self/ns/net"

// space is a network namespace without a name; it lives while file is open or
// a process is in it.
type space struct{ file *os.File }

func newSpace() (*space, error) {
	s := &space{}
	err := away(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
				return fmt.Errorf("%w: %w", ErrNotAllowed, err)
			}
			return fmt.Errorf("make a network namespace: %w", err)
		}
		var err error
		s.file, err = os.Open(ownSpace)
		return err
	})
	return s, err
}

// path is how other programs find the namespace while this process lives.
func (s *space) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.file.Fd())
}

// do runs f on a thread inside the namespace. Sockets it makes and processes
// it starts belong there for good; goroutines it starts do not.
func (s *space) do(f func() error) error {
	return away(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the namespace: %w", err)
		}
		return f()
	})
}

func (s *space) close() { _ = s.file.Close() }

// away runs f on a thread of its own and brings that back to the namespace it
// came from. A thread that cannot come back ends with its goroutine.
func away(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(ownSpace)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	defer func() {
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}
