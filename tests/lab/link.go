package lab

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Cut switches the host's port in the switch off, as pulling the cable does: the host
// loses its link and can notice.
func (h *Host) Cut() error { return h.switchPort(false) }

// Mend undoes Cut.
func (h *Host) Mend() error { return h.switchPort(true) }

// RemoveLink takes the host's interface away, with its addresses, as when a network
// card is taken out of a virtual machine.
func (h *Host) RemoveLink() error { return ip(h.space, "link del "+h.device) }

// AddLink gives the host its interface again, another one with the same addresses.
func (h *Host) AddLink() error {
	if err := h.connect(); err != nil {
		return err
	}
	return h.configure()
}

// connect joins the host to the switch by a port and an interface.
func (h *Host) connect() error {
	return ip(h.network.wire,
		fmt.Sprintf("link add %s type veth peer name %s netns %s", h.port, h.device, h.space.path()),
		fmt.Sprintf("link set %s master bridge0 up", h.port))
}

// Mute has the switch drop what comes from the host or goes to it and matches one of
// the expressions of nft, such as `ip protocol 112`: a program on the host cannot get
// around it. It needs the command nft.
func (h *Host) Mute(matches ...string) error {
	var rules strings.Builder
	for _, match := range matches {
		fmt.Fprintf(&rules, "\t\tiifname %q %s drop\n\t\toifname %[1]q %[2]s drop\n", h.port, match)
	}
	return nft(h.network.wire, fmt.Sprintf(`table bridge %s {
	chain passing {
		type filter hook forward priority -300;
%s	}
}
`, h.port, rules.String()))
}

// Unmute undoes Mute.
func (h *Host) Unmute() error { return nft(h.network.wire, "delete table bridge "+h.port) }

// nft runs a script of nft in a namespace.
func nft(s *space, script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	return s.do(func() error {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}
