package kernel

import (
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
)

// tracked are the TCP flows that the kernel of a node knows as established, by the end of
// the client.
func (m *machine) tracked() map[string]string {
	m.r.t.Helper()
	all := map[string]string{}
	for _, family := range []string{"ipv4", "ipv6"} {
		text, err := m.host.Run(soon(m.r.t), exec.Command("conntrack", "-L", "-p", "tcp", "-f", family))
		m.r.try(err)
		for line := range strings.Lines(text) {
			src, sport := field(line, "src="), field(line, "sport=")
			addr, err := netip.ParseAddr(src)
			port, bad := strconv.Atoi(sport)
			if err == nil && bad == nil && strings.Contains(line, "ESTABLISHED") {
				all[netip.AddrPortFrom(addr, uint16(port)).String()] = strings.TrimSpace(line)
			}
		}
	}
	return all
}

// field is the first value of a name in a line.
func field(line, name string) string {
	_, rest, _ := strings.Cut(line, " "+name)
	value, _, _ := strings.Cut(rest, " ")
	return value
}
