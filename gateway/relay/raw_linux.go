package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file are made on non-blocking descriptors, thousands a
// second. They do not tell the Go scheduler that they may take their time:
// that would have it give the loop's processor away whenever one lasts longer
// than 20 us, and take it back with a futex or two.

func read(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel wants the address of b
	return int(n), e
}

func write(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel wants the address of b
	return int(n), e
}

// writeMore is write, and tells that more comes at once: what is small travels with it.
func writeMore(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_MORE|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0) //nolint:gosec // the kernel wants the address of b
	return int(n), e
}

func splice(from, to, most int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(n), e
}

// epollWait waits for at most timeout milliseconds while it keeps the loop's
// processor.
func epollWait(ep int, events []unix.EpollEvent, timeout int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(timeout), 0, 0) //nolint:gosec // the kernel wants the address of events
	return int(n), e
}
