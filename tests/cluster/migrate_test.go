package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// docs/migrate.md, step by step: two nodes of an original become two of ours. During each
// step the address is served, and sessions of what is not touched go on.
func TestAnOriginalIsReplacedNodeByNode(t *testing.T) {
	if os.Getenv("VDI_GATEWAY_FORWARDING") == "kernel" {
		t.Skip("clients come through a HAProxy, which the kernel cannot lead to VMs")
	}
	for _, command := range []string{"haproxy", "keepalived", "ss"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skipf("%s is not installed", command)
		}
	}
	m := newMigration(t)
	m.step("both are originals", 0)
	onA, onB := m.session(m.a), m.session(m.b)

	m.old[0].reload("", "disabled") // new clients are sent to A
	onB.lives("B is drained")
	_ = onB.Close() // its user is done
	m.old[1].resign()
	m.old[1].end()
	m.step("B is taken out", 0)
	onA.lives("B is taken out")

	m.importOnB(t)
	m.r.start(t, 1)
	m.rest("B is a node of ours, backup beside Keepalived", "backup")
	m.step("B is installed", 0)

	m.old[0].reload("", "send-proxy-v2") // A's HAProxy sends clients to both
	through := m.throughHAProxy()
	m.step("A's HAProxy sends clients to both", 0)
	onA.lives("A's HAProxy sends clients to both")
	through.lives("A's HAProxy sends clients to both")

	m.old[0].resign()
	m.rest("B has the address", "active")
	m.step("the address has moved", 10*time.Second)
	onB = m.onOurs(m.b)

	m.modern(t) // while B is the only one: a new version is a new election
	m.rest("B has the address", "active")
	m.step("version 3", 3*time.Second)
	onB.lives("version 3")

	m.old[0].end()
	m.join(t)
	m.rest("B has the address", "active")
	m.step("A is a node of ours", 0)
	onB.lives("A is a node of ours")
}

// migration is two hosts, clients, and a VM.
type migration struct {
	*testing.T
	r       *rig
	a, b    *lab.Host
	old     []*originalNode
	silence atomic.Int64 // the longest time in which the address did not answer
}

func newMigration(t *testing.T) *migration {
	t.Helper()
	r := &rig{network: lab.New(t), virtual: netip.MustParseAddr("10.99.0.100"), holder: -1}
	r.client = r.network.Host("client", "10.99.0.150/24", "10.99.0.151/24", "10.99.0.152/24", "10.99.0.153/24", "10.99.0.154/24", "10.99.0.155/24")
	r.serveEcho(t, r.network.Host("vm", "10.99.0.200/24"))
	m := &migration{T: t, r: r}
	for i := range 2 {
		r.addNode(t, i, 2, nil)
		m.old = append(m.old, startOriginal(t, r.hosts[i]))
		if i == 0 { // the first one gets the address, and equals leave it there
			eventually(t, "A has the address", func() bool { return strings.Contains(m.old[0].keepalived.Output(), "MASTER STATE") })
		}
	}
	m.a, m.b = r.hosts[0], r.hosts[1]
	eventually(t, "the address is served", func() bool { _, err := m.who(r.client.Addr()); return err == nil })
	m.watch()
	return m
}

// watch asks the address all the time, from a host of its own.
func (m *migration) watch() {
	monitor := m.r.network.Host("monitor", "10.99.0.160/24")
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		last := time.Now()
		for {
			c, err := monitor.Dial(netip.Addr{}, netip.AddrPortFrom(m.r.virtual, frontAPI), time.Second)
			now := time.Now()
			if gap := now.Sub(last); int64(gap) > m.silence.Load() {
				m.silence.Store(int64(gap))
			}
			if err == nil {
				_ = c.Close()
				last = now
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	m.Cleanup(func() { close(done); <-ended })
}

// step ends one: the address was silent for a time at most. 0 stands for what a single
// connection that is lost costs.
func (m *migration) step(name string, most time.Duration) {
	m.Helper()
	time.Sleep(200 * time.Millisecond) // the monitor sees the state that was reached
	silent := time.Duration(m.silence.Swap(0))
	m.Logf("%s: the address did not answer for %s at most", name, silent.Round(time.Millisecond))
	if silent > max(most, 1500*time.Millisecond) {
		m.Errorf("%s: the address did not answer for %s, want %s at most", name, silent, most)
	}
}

// who answers at the address for a client: one of the original or of ours.
func (m *migration) who(from netip.Addr) (string, error) {
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: m.dialFrom(from)}}
	resp, err := c.Get("http://" + netip.AddrPortFrom(m.r.virtual, frontAPI).String() + "/livez")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// session is a connection through a tunnel.
type session struct {
	net.Conn
	m *migration
}

func (s session) lives(when string) {
	s.m.Helper()
	if err := echoes(s.Conn); err != nil {
		s.m.Errorf("%s: a session that nothing touched: %v", when, err)
	}
}

// session opens one through HAProxy, which ends at a host.
func (m *migration) session(at *lab.Host) session {
	m.Helper()
	for _, from := range m.r.client.Addrs() {
		c, err := m.r.client.Dial(from, netip.AddrPortFrom(m.r.virtual, playedPorts()[0]), patience)
		if err != nil {
			m.Fatal(err)
		}
		m.Cleanup(func() { _ = c.Close() })
		s := session{c, m}
		s.lives("it is new")
		out, err := at.Run(soon(m.T), exec.CommandContext(m.Context(), "ss", "-Htn", "state", "established", "src", fmt.Sprintf("%s:%d", at.Addr(), playedPorts()[0])))
		if err != nil {
			m.Fatal(err)
		}
		if strings.TrimSpace(out) != "" {
			return s
		}
		_ = c.Close()
	}
	m.Fatalf("no client is sent to %s", at.Name())
	return session{}
}

// throughHAProxy is a session on our node, to which HAProxy sends a client.
func (m *migration) throughHAProxy() session {
	m.Helper()
	var s session
	eventually(m.T, "HAProxy sends a client to our node", func() bool {
		for _, from := range m.r.client.Addrs() {
			if word, err := m.who(from); err == nil && word != originalWord {
				s = m.open(from)
				return true
			}
		}
		return false
	})
	return s
}

// open has a client open a tunnel and connect, by the address.
func (m *migration) open(from netip.Addr) session {
	m.Helper()
	tunnel, err := m.r.front(m.T, from).Open(soon(m.T), m.r.request())
	if err != nil {
		m.Fatal(err)
	}
	c, err := m.r.client.Dial(from, tunnel.Addr(), patience)
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { _ = c.Close() })
	s := session{c, m}
	s.lives("it is new")
	return s
}

// onOurs is a session on our only node.
func (m *migration) onOurs(h *lab.Host) session {
	m.Helper()
	s := m.open(m.r.client.Addr())
	if s.RemoteAddr().(*net.TCPAddr).AddrPort().Addr() != m.r.virtual {
		m.Errorf("%s: got a tunnel at %s, want one at the virtual address", h.Name(), s.RemoteAddr())
	}
	return s
}

// importOnB makes the settings of our first node of the original's files.
func (m *migration) importOnB(t *testing.T) {
	t.Helper()
	cfg := &m.r.configs[1]
	cfg.Settings = node.Settings{
		"internal_addrs": []string{m.b.Addr().String()}, "trusted_proxies": []string{m.a.Addr().String()},
		"nodes": map[string]any{m.b.Addr().String(): map[string]any{"priority": 50}}, "forwarding": "proxy",
	}
	cfg.DB = filepath.Join(t.TempDir(), "settings.db")
	out, err := m.b.Run(soon(t), exec.CommandContext(t.Context(), node.Binary(), "settings", "import", "--db", cfg.DB,
		"--haproxy", m.old[1].path("haproxy.cfg"), "--keepalived", m.old[1].path("keepalived.conf")))
	if err != nil || !strings.Contains(out, "taken as vrrp.version = 2") {
		t.Fatalf("import: %v\n%s", err, out)
	}
	if err := node.Prepare(m.b, *cfg); err != nil {
		t.Fatal(err)
	}
}

// rest waits until B has a role.
func (m *migration) rest(what, role string) {
	m.Helper()
	d := m.r.nodes[1].Dispatcher()
	defer d.Close()
	eventually(m.T, what, func() bool {
		var h struct{ Role string }
		return d.Call(soon(m.T), "GET", "/v3/health/", nil, &h) == nil && h.Role == role
	})
}

// join makes A a node beside B.
func (m *migration) join(t *testing.T) {
	t.Helper()
	cfg := &m.r.configs[0]
	cfg.DB = filepath.Join(t.TempDir(), "settings.db")
	cmd := exec.CommandContext(t.Context(), node.Binary(), "join", m.b.Addr().String(), "--insecure", "--db", cfg.DB, "--api-key", node.DispatcherKey())
	if out, err := m.a.Run(soon(t), cmd); err != nil {
		t.Fatalf("join: %v\n%s", err, out)
	}
	m.r.start(t, 0)
	m.r.together(t)
}

// modern ends what the original needed.
func (m *migration) modern(t *testing.T) {
	t.Helper()
	d := m.r.nodes[1].Dispatcher()
	defer d.Close()
	s := node.Settings{
		"vrrp": map[string]any{"version": 3, "router_id": 1, "advert_ms": 100}, "nodes": map[string]any{}, "trusted_proxies": []string{},
	}
	if _, err := d.Change(soon(t), s); err != nil {
		t.Fatal(err)
	}
}

func (m *migration) dialFrom(from netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		return m.r.client.Dial(from, to, 5*time.Second)
	}
}
