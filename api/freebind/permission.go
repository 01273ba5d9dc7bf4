package freebind

import (
	"errors"
	"fmt"
	"syscall"
)

// Explained names what is missing when a port was refused to this process.
func Explained(err error) error {
	if !errors.Is(err, syscall.EACCES) {
		return err
	}
	return fmt.Errorf("%w: ports below 1024 need the capability CAP_NET_BIND_SERVICE: run as root, "+
		"or grant it (AmbientCapabilities= in the systemd unit, or setcap cap_net_bind_service+ep on the binary)", err)
}
