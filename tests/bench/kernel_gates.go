package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// router is a host that forwards and knows nothing of connections.
func (k *kernels) router() error {
	h, err := k.gate("router", 3)
	if err != nil {
		return err
	}
	return first(forward(h),
		ipRoute(k.client, "10.98.0.0/24", "10.99.0.3"), ipRoute(k.vm, "10.99.0.0/24", "10.98.0.3"))
}

func forward(h *lab.Host) error {
	return h.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600) })
}

func ipRoute(h *lab.Host, to, via string) error {
	return command(h, "", "ip", "route", "add", to, "via", via)
}

// command runs a command on a host.
func command(h *lab.Host, script, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), wireTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // written here
	cmd.Stdin = strings.NewReader(script)
	_, err := h.Run(ctx, cmd)
	return err
}

// byHand is a host with the rules that somebody writes who needs no more: a map from
// client and port to VM and port, of as many elements as the product has, and addresses
// that are translated at both ends.
func (k *kernels) byHand(c *contender) error {
	h, err := k.gate("nft", 4)
	if err != nil {
		return err
	}
	const port = 5900
	loading, resting := k.clients()
	var elements []string
	element := func(from netip.Addr, port int, to netip.AddrPort) {
		elements = append(elements, fmt.Sprintf("%s . %d : %s . %d", from, port, to.Addr(), to.Port()))
	}
	for i, from := range loading {
		element(from, port, k.target(i))
	}
	for i, from := range resting {
		for p := node.PortStart; p <= node.PortStop; p++ {
			element(from, p, k.target(i))
		}
	}
	c.host, c.addr = h, netip.AddrPortFrom(h.Addr(), port)
	return first(forward(h), command(h, fmt.Sprintf(`table ip byhand {
	map sessions {
		type ipv4_addr . inet_service : ipv4_addr . inet_service
		elements = { %s }
	}
	chain steer {
		type nat hook prerouting priority dstnat;
		ip daddr %s dnat to ip saddr . tcp dport map @sessions
	}
	chain hide {
		type nat hook postrouting priority srcnat;
		oifname "eth1" ct status dnat masquerade
	}
}
`, strings.Join(elements, ", "), h.Addr()), "nft", "-f", "-"))
}

// begin gives the product a host and a database of its own, and HAProxy a new process.
func (k *kernels) begin(ctx context.Context, round int) error {
	h, err := k.gate("ours", 10+round)
	if err != nil {
		return err
	}
	k.node, err = node.Start(h, node.Config{Binary: k.binary, DB: filepath.Join(k.dir, fmt.Sprint(round), "settings.db"), Settings: node.Settings{
		"forwarding": "kernel", "timeouts": map[string]any{"grant_s": 300},
		"targets": map[string]any{
			"allow": []map[string]any{{"cidr": "10.98.0.0/24"}}, "ports": []string{"1-65535"}, "require_ticket": false,
		},
	}})
	if err != nil {
		return err
	}
	k.ours.run, k.ours.host = peer.Of(k.node), h
	return first(k.openLoad(ctx), k.each(round, func(c *contender) error {
		if c == k.ours || c.kind.Name == "" {
			return nil
		}
		return k.restart(c)
	}))
}

// openLoad opens the tunnels that load goes through.
func (k *kernels) openLoad(ctx context.Context) error {
	loading, _ := k.clients()
	for i, from := range loading {
		api := k.node.Client(k.client, from)
		t, err := api.Open(ctx, node.OpenRequest{
			VMAddress: k.target(i).Addr().String(), VMPort: serverPort, TTLS: 300, Channels: loadChannels,
		})
		api.Close()
		if err != nil {
			return err
		}
		addr := netip.AddrPortFrom(k.ours.host.Addr(), t.Port)
		if i > 0 && addr != k.ours.addr {
			return fmt.Errorf("the tunnels have ports %d and %d, and one was expected", k.ours.addr.Port(), t.Port)
		}
		k.ours.addr = addr
	}
	return nil
}
