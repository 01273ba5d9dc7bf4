package peer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"vdi-gateway/tests/lab"
)

// Ports of the original's configuration.
const (
	OriginalFirst = 5900 // the first of the tunnels
	OriginalLast  = 5999
	OriginalAPI   = 8000 // of the nodes
	OriginalFront = 8002 // the same API, at the virtual address
)

// OriginalHAProxy starts HAProxy on host as the original generates its configuration,
// without statistics and service tunnel, and does not wait. It listens on the virtual
// address; that has to be allowed before the address is there, or it would not start
// on a node in reserve. It keeps its files in dir.
func OriginalHAProxy(host *lab.Host, virtual netip.Addr, nodes []netip.Addr, dir string) (*Relay, error) {
	if err := host.Do(allowNonlocal); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`peers sticktables
	bind :10000
	server gw
	table sticky-sessions type ip size 1m
frontend client
	bind %[1]s:%[2]d
	default_backend client
frontend tunnels
	bind %[1]s:%[3]d-%[4]d
	default_backend tunnels
`, virtual, OriginalFront, OriginalFirst, OriginalLast)
	text += sticky("client", nodes, fmt.Sprintf(":%d check", OriginalAPI)) + sticky("tunnels", nodes, "")
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := start(host, "haproxy", "-db", "-L", "gw", "-f", path)
	if err != nil {
		return nil, err
	}
	return &Relay{Addr: netip.AddrPortFrom(virtual, OriginalFront), process: p}, nil
}

// sticky is a backend that keeps a client with one node.
func sticky(name string, nodes []netip.Addr, rest string) string {
	text := fmt.Sprintf(`backend %s
	balance roundrobin
	stick match src table sticktables/sticky-sessions
	stick store-request src table sticktables/sticky-sessions
`, name)
	for i, n := range nodes {
		text += fmt.Sprintf("	server gateway_%d %s%s\n", i, n, rest)
	}
	return text
}

func allowNonlocal() error {
	return os.WriteFile("/proc/sys/net/ipv4/ip_nonlocal_bind", []byte("1"), 0o600)
}

// OriginalGateways starts on host what leads the tunnels' ports of its own address to
// target, in place of the original's gateway, and does not wait.
func OriginalGateways(host *lab.Host, target netip.AddrPort, dir string) (*Relay, error) {
	text := fmt.Sprintf(`listen tunnels
	bind %s:%d-%d
	server vm %s
`, host.Addr(), OriginalFirst, OriginalLast, target)
	path := filepath.Join(dir, "gateway.cfg")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := start(host, "haproxy", "-db", "-f", path)
	if err != nil {
		return nil, err
	}
	return &Relay{Addr: netip.AddrPortFrom(host.Addr(), OriginalFirst), process: p}, nil
}
