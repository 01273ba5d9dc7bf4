package main

import (
	"bytes"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vdi-gateway/settingsdb"
)

const (
	crowdClients = 10 // addresses
	crowdEach    = 100
)

// A thousand sessions at once: a hundred ports serve a hundred tunnels to each
// client address, every one lives, one call ends them all, and nothing is left.
func TestAThousandSessions(t *testing.T) {
	n := startNode(t, nil)
	vm := startVM(t)
	n.connect(t, vm, nil) // so that the start has everything a session needs
	n.endAll(t, 1)
	started, memory := n.descriptors(t), n.memory(t)

	var clients [crowdClients][]session
	var all sync.WaitGroup
	for i := range clients {
		from := netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)})
		all.Go(func() {
			ports := map[int]bool{}
			for range crowdEach {
				tun := n.openFrom(t, from, vm, nil)
				if ports[tun.Port] {
					t.Errorf("port %d was given to %s twice", tun.Port, from)
				}
				ports[tun.Port] = true
				clients[i] = append(clients[i], tun.dial(t, from))
			}
		})
	}
	all.Wait()
	full := call{
		path: "/v3/open_connection/", key: testCLIKey, from: netip.AddrFrom4([4]byte{127, 0, 0, 2}),
		body: keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "probe": false},
	}
	if code, _ := n.call(t, 503, full).refusal(t); code != "NO_FREE_PORT" {
		t.Errorf("got %s when all ports are taken, want NO_FREE_PORT", code)
	}
	for _, sessions := range clients {
		for _, s := range sessions {
			s.mustLive(t)
		}
	}
	list := into[struct{ Total int }](t, n.call(t, 200, call{path: "/v3/get_connections/?state=active&limit=1"}))
	if list.Total != crowdClients*crowdEach {
		t.Errorf("got %d active connections, want %d", list.Total, crowdClients*crowdEach)
	}
	n.openFrom(t, netip.Addr{}, vm, keys{"mode": "websocket"}) // one more than a page
	listed, err := exec.CommandContext(t.Context(), "vdi-gateway", "connections", "--db", n.db, "--json").Output()
	if got := bytes.Count(listed, []byte(`{"connection_id":`)); err != nil || got != crowdClients*crowdEach+1 {
		t.Errorf("got %d lines and %v of the command, want %d", got, err, crowdClients*crowdEach+1)
	}
	held := n.memory(t)
	t.Logf("%d sessions: %.1f MB resident, %.1f MB before, %d descriptors",
		crowdClients*crowdEach, float64(held)/1e6, float64(memory)/1e6, n.descriptors(t))
	if held > 400e6 {
		t.Errorf("got %d bytes resident, want less than a tenth of the original's 4 GB", held)
	}

	n.endAll(t, crowdClients*crowdEach+1)
	for _, sessions := range clients {
		for _, s := range sessions {
			s.mustEnd(t)
		}
	}
	// Go keeps the pipes of splice until it collects garbage: make some.
	garbage := call{path: "/v3/tickets/", body: bytes.Repeat([]byte("["), 60<<10)}
	eventually(t, "the descriptors are back to the start", func() bool {
		n.call(t, 400, garbage)
		return n.descriptors(t) <= started+5
	})
	if h := n.health(t, 200); h.Capacity.Used != 0 || h.Capacity.FreePorts != testLast-testFirst+1 {
		t.Errorf("got capacity %+v, want all free", h.Capacity)
	}
	eventually(t, "all ends are in the audit", func() bool { // a database that writes is not at rest
		return !slices.ContainsFunc(n.audit(t), func(r settingsdb.AuditRow) bool { return r.Event != "close" })
	})
	left := n.goroutines(t)
	t.Logf("%d goroutines in the end", left)
	if left < 5 || left > 50 {
		t.Errorf("got %d goroutines after all sessions have ended, want those of a node at rest", left)
	}
}

// goroutines ends the node with the signal at which Go prints all stacks.
func (n *child) goroutines(tb testing.TB) int {
	tb.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		tb.Fatal(err)
	}
	n.waitExit(tb)
	return strings.Count(n.log.String(), "\ngoroutine ")
}

// endAll disconnects everything and checks how much that was.
func (n *child) endAll(tb testing.TB, want int) {
	tb.Helper()
	began := time.Now()
	got := into[struct {
		Count        int
		Disconnected []string
	}](tb, n.call(tb, 200, call{path: "/v3/disconnect/", body: keys{"all": true}}))
	if got.Count != want || len(got.Disconnected) != want {
		tb.Errorf("got %d connections ended, want %d", got.Count, want)
	}
	tb.Logf("%d connections ended in %s", want, time.Since(began).Round(time.Millisecond))
}
