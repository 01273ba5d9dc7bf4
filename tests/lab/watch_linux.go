package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// watchBuffer has room for what comes while this process does not run.
	watchBuffer = 1 << 20
	// watchTurn bounds how long a watcher waits before it looks whether it is to end.
	watchTurn = 50 // ms
	// watchNice puts a watcher before what it watches: it notes the time.
	watchNice = -20
)

// watch follows one host until Close.
func (o *Owners) watch(h *Host) error {
	fd := -1
	err := h.space.do(func() error {
		var err error
		if fd, err = subscribe(); err != nil {
			return fmt.Errorf("watch the addresses of host %s: %w", h.name, err)
		}
		present, err := net.InterfaceAddrs() // what comes meanwhile comes again
		for _, a := range present {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == o.addr {
				o.saw(h, true)
			}
		}
		return err
	})
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return err
	}
	o.workers.Go(func() { o.follow(h, fd) })
	return nil
}

// subscribe opens a socket that hears of the namespace's addresses.
func subscribe() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: watchTurn * 1000}),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}))
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// follow reads what the kernel tells, on a thread of its own. The thread goes back to
// where it came from: programs that it has started die with it.
func (o *Owners) follow(h *Host, fd int) {
	defer unix.Close(fd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Without the right to it is as others are.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), watchNice)
	defer func() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 0) }()
	buffer := make([]byte, 64<<10)
	for {
		select {
		case <-o.stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil:
			o.failed(fmt.Errorf("host %s: %w", h.name, err))
			return
		default:
			o.take(h, buffer[:n])
		}
	}
}

// take notes the messages that are about the address.
func (o *Owners) take(h *Host, packet []byte) {
	messages, err := syscall.ParseNetlinkMessage(packet)
	if err != nil {
		o.failed(fmt.Errorf("host %s: %w", h.name, err))
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWADDR && m.Header.Type != unix.RTM_DELADDR {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			o.failed(fmt.Errorf("host %s: %w", h.name, err))
		}
		for _, a := range attributes {
			if ip, ok := netip.AddrFromSlice(a.Value); ok && a.Attr.Type == unix.IFA_ADDRESS && ip == o.addr {
				o.saw(h, m.Header.Type == unix.RTM_NEWADDR)
			}
		}
	}
}
