//go:build e2e

package appliance

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"vdi-gateway/tests/lab"
)

// TestAPairOfInstallations makes two machines one gateway by one command, and takes the
// node with the address away by each way there is.
func TestAPairOfInstallations(t *testing.T) {
	deb := build(t, root, "0.1.0")
	network := lab.New(t)
	first := boot(t, network.Host("one", own+"/24"), filepath.Dir(deb))
	second := boot(t, network.Host("two", "10.99.0.22/24"), filepath.Dir(deb))
	for _, m := range []*machine{first, second} {
		m.does("dpkg", "--install", "/packages/"+filepath.Base(deb))
	}
	first.wants(`{"virtual_addr":"` + virtual + `","public_addr":"` + virtual + `"}`)
	first.serves()
	key := strings.TrimSpace(first.does("vdi-gateway", "settings", "get", "api_key"))
	second.does("vdi-gateway", "join", own, "--insecure", "--api-key", key)
	pair := func(m *machine, role string) {
		t.Helper()
		m.eventually(role+" of two nodes", func() bool {
			status := m.property("StatusText")
			return strings.HasPrefix(status, role+" since ") && strings.HasSuffix(status, ", 2 of 2 nodes")
		})
	}
	pair(first, "active")
	pair(second, "backup")

	a := netip.MustParseAddr(virtual)
	follows := func(from, to *machine, how string, take func()) {
		t.Helper()
		t.Log(how)
		take()
		to.eventually("successor", func() bool { return to.holds(a) })
		from.eventually("end of the address", func() bool { return !from.holds(a) })
	}
	follows(first, second, "stopped", func() { first.does("systemctl", "stop", "vdi-gateway") })
	first.does("systemctl", "start", "vdi-gateway")
	pair(first, "backup")
	pair(second, "active")
	follows(second, first, "hanging", func() { second.does("kill", "-STOP", second.property("MainPID")) })
	second.does("kill", "-KILL", second.property("MainPID"))
	pair(second, "backup")
	pair(first, "active")
	t.Log("without power")
	first.off()
	second.eventually("successor of a host that is gone", func() bool {
		return second.holds(a) && strings.HasSuffix(second.property("StatusText"), ", 1 of 2 nodes")
	})
}
