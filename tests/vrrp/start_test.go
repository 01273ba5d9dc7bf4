package vrrp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// An address that is on a host although no node of it is active, for whatever reason,
// goes when the node starts.
func TestLeftoverIsRemovedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, virtual := range families() {
		t.Run(virtual, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { leaveBehind(t, virtual) })
		})
	}
}

func leaveBehind(t testing.TB, virtual string) {
	t.Helper()
	r := prepareCluster(t, virtual, 2, nil)
	first, standby := r.nodes[0], r.nodes[1]
	first.launch()
	r.only(first.host, time.Now(), patience)
	r.try(standby.host.Take(r.virtual))
	r.takes(standby.host, time.Now(), patience)
	standby.launch()
	standby.competes()
	ready := time.Now()
	r.only(first.host, ready, slack)
	r.keeps(first.host, ready.Add(slack), 2*masterDown())
	eventually(t, "a warning about it in the log", func() bool {
		return logged(standby.node, "warning", virtual, "removed")
	})
}

// logged tells whether a line of a log has a level and all words.
func logged(n *node.Node, level string, words ...string) bool {
	for line := range strings.Lines(n.Log()) {
		if strings.Contains(line, "level="+level) && contains(line, words...) {
			return true
		}
	}
	return false
}

// contains tells whether a text has all words.
func contains(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

// release removes what is left when process and guard died, before the kernel does.
func TestReleaseRemovesTheAddress(t *testing.T) {
	t.Parallel()
	steady(t, release)
}

func release(t testing.TB) {
	t.Helper()
	r := newCluster(t, four, 2, nil)
	victim := r.machineOf(r.settled())
	killBoth(victim)
	at := time.Now()
	out, err := r.command(victim, "release")
	if err != nil || !strings.Contains(out, "removed "+four) {
		t.Errorf("release: got %q and %v, want it to tell what it removed", out, err)
	}
	r.gone(victim.host, at, time.Since(at))
	r.try(victim.host.Take(r.virtual)) // by hand it would stay for ever
	if out, err = r.command(victim, "release"); err != nil || !strings.Contains(out, four) {
		t.Errorf("release of an address put there by hand: got %q and %v, want it removed", out, err)
	}
	if out, err = r.command(victim, "release"); err != nil || out != "" {
		t.Errorf("release without an address: got %q and %v, want nothing said", out, err)
	}
	r.takes(r.better(victim).host, at, masterDown())
	if owners := r.owners.Now(); len(owners) != 1 {
		t.Errorf("got %s as owners, want the other node alone", names(owners))
	}
}

// command runs a command of the product on the host of a node.
func (r *rig) command(m *machine, args ...string) (string, error) {
	return m.host.Run(soon(r.t), exec.Command(m.config.Binary, append(args, "--db", m.config.DB)...)) //nolint:noctx // Run ends it
}

// A node without the rights to move an address serves the rest, and says what it lacks.
func TestWithoutCapabilities(t *testing.T) {
	t.Parallel()
	lab.Need(t, "setpriv")
	r := newRig(t, four)
	m := r.add(node.Settings{"internal_addrs": []string{"10.99.0.1"}, "vrrp": election(nil)}, "10.99.0.1/24")
	script := filepath.Join(t.TempDir(), "unprivileged")
	r.try(os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec setpriv --bounding-set -net_admin,-net_raw %s \"$@\"\n", m.config.Binary), 0o700)) //nolint:gosec // it has to be executable
	m.config.Binary = script
	r.watch()
	m.launch()
	r.try(m.node.Ready(soon(t)))
	var detail string
	eventually(t, "health names the capabilities", func() bool {
		h := m.health()
		var ok bool
		detail, ok = h.check("vrrp")
		return !ok && h.Status == "degraded" && contains(detail, "CAP_NET_ADMIN", "CAP_NET_RAW")
	})
	t.Log(detail)
	if owners := r.owners.Now(); len(owners) > 0 {
		t.Errorf("got %s as owner, want nobody", names(owners))
	}
	if role := m.health().Role; role != "fault" {
		t.Errorf("got role %s, want fault", role)
	}
	m.opens(r.client)
}

// opens has the node open a tunnel to a port of a host.
func (m *machine) opens(vm *lab.Host) {
	m.r.t.Helper()
	l, err := vm.Listen(netip.AddrPortFrom(vm.Addr(), 0).String())
	m.r.try(err)
	defer l.Close()
	c := m.node.Client(m.r.client)
	defer c.Close()
	_, err = c.Open(soon(m.r.t), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: l.Addr().(*net.TCPAddr).Port})
	if err != nil {
		m.r.t.Errorf("open a tunnel: %v", err)
	}
}
