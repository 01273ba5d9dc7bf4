package conntrack

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Check tells what this kernel or this process lacks: the error is ErrNotPermitted,
// ErrNoConntrack or ErrNoNAT in words for an operator, or nil. It changes nothing; a
// module that can be loaded by itself is.
func Check() error {
	t, err := Open()
	if err != nil {
		return checked(err)
	}
	defer func() { _ = t.Close() }()
	return checked(t.probeNAT())
}

// probeNAT asks for an entry between addresses of documentation (RFC 5737) that the kernel
// refuses, since its status says that it is not confirmed: but only after it has set up
// its translation. So EBUSY tells that all is there, and nothing is made.
func (t *Table) probeNAT() error {
	at := func(last byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 9)
	}
	never := Translated(at(1), at(2), at(3), at(4))
	never.Timeout = time.Second // should a kernel take it
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sequence++
	t.out.buf = t.out.buf[:0]
	t.out.create(never, SeenReply, flagAck, t.sequence)
	if err := t.send(); err != nil {
		return err
	}
	return t.answers(func(m message) (bool, error) {
		if m.kind != typeError || m.sequence != t.sequence {
			return false, nil
		}
		code, err := m.code()
		if err == nil && code != 0 {
			err = unix.Errno(-code)
		}
		return true, err
	})
}

// checked puts the answer to a probe in words.
func checked(err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w to change the kernel's table of connections: give the service CAP_NET_ADMIN (AmbientCapabilities= in its unit): %w", ErrNotPermitted, err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: the kernel lacks nf_conntrack or nf_conntrack_netlink; load them (modprobe nf_conntrack_netlink) or use a kernel that has them: %w", ErrNoConntrack, err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("%w: the kernel lacks nf_nat; load it (modprobe nf_nat) or use a kernel that has it: %w", ErrNoNAT, err)
	case err == nil:
		return errors.New("the kernel's table of connections took an entry that it had to refuse")
	}
	return fmt.Errorf("the kernel's table of connections does not answer as it should: %w", err)
}
