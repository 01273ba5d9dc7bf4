package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/lab"
)

const (
	vrrpProtocol = 112
	// punctual is how late a fault may be and still count as one at its moment.
	punctual = 500 * time.Microsecond
)

// meet waits for an advertisement on the wire, and then for a while.
func meet(ctx context.Context, client *lab.Host, after time.Duration) error {
	fd, err := hearAdverts(client)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for until := time.Now().Add(wholeTime); time.Now().Before(until) && ctx.Err() == nil; {
		_, heard, err := receiveStamped(fd, make([]byte, 256))
		if err != nil {
			continue
		}
		due := heard.Add(after)
		sleepUntil(monotonic() + time.Until(due))
		if time.Since(due) < punctual {
			return nil
		}
	}
	return errors.Join(ctx.Err(), fmt.Errorf("no advertisement was met within %s", wholeTime))
}

// hearAdverts opens a socket that hears the advertisements of all routers.
func hearAdverts(h *lab.Host) (int, error) {
	fd, err := stampedSocket(h, unix.SOCK_RAW, vrrpProtocol)
	if err != nil {
		return -1, err
	}
	err = h.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		group := unix.IPMreqn{Multiaddr: [4]byte{224, 0, 0, 18}, Ifindex: int32(link.Index)}
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &group)
	})
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("hear advertisements: %w", err)
	}
	return fd, nil
}
