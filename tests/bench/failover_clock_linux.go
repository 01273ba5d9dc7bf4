package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/lab"
)

// socketTurn bounds how long a thread waits for a datagram before it looks whether it
// is to end.
const socketTurn = 50 * time.Millisecond

var errNoStamp = errors.New("the kernel does not say when a datagram came")

// socketOn makes an IPv4 socket on a host, with an option that is on.
func socketOn(h *lab.Host, kind, protocol, level, option int) (fd int, err error) {
	err = h.Do(func() error {
		fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, protocol)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("make a socket on host %s: %w", h.Name(), err)
	}
	turn := unix.NsecToTimeval(int64(socketTurn))
	err = errors.Join(
		unix.SetsockoptInt(fd, level, option, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &turn))
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// stampedSocket makes one for receiveStamped.
func stampedSocket(h *lab.Host, kind, protocol int) (int, error) {
	return socketOn(h, kind, protocol, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS)
}

// receiveStamped reads a datagram, and when it came by the kernel's clock: this process
// may have been busy then.
func receiveStamped(fd int, data []byte) (n int, at time.Time, err error) {
	control := make([]byte, 64)
	n, c, _, _, err := unix.Recvmsg(fd, data, control, 0)
	if err != nil {
		return 0, at, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:c])
	if err != nil || len(messages) != 1 || len(messages[0].Data) != 16 {
		return 0, at, errNoStamp
	}
	stamp := messages[0].Data // struct timespec
	return n, time.Unix(int64(binary.NativeEndian.Uint64(stamp)), int64(binary.NativeEndian.Uint64(stamp[8:]))), nil
}

// monotonic is the time by a clock that nobody sets.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // every Linux has it
	return time.Duration(t.Nano())
}

// sleepUntil sleeps finer than the runtime's timers, which count milliseconds.
func sleepUntil(when time.Duration) {
	t := unix.NsecToTimespec(int64(max(when, 0)))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil) == unix.EINTR { //nolint:errorlint // an Errno as it is
	}
}
