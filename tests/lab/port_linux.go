package lab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// switchPort switches the host's port in the switch on or off. It starts no program, so
// that its moment can be chosen.
func (h *Host) switchPort(on bool) error {
	return h.network.wire.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("make a socket: %w", err)
		}
		defer func() { _ = unix.Close(fd) }()
		port, err := unix.NewIfreq(h.port)
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, port); err != nil {
			return fmt.Errorf("look at %s of host %s: %w", h.port, h.name, err)
		}
		flags := port.Uint16() &^ unix.IFF_UP
		if on {
			flags |= unix.IFF_UP
		}
		port.SetUint16(flags)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, port)
	})
}
