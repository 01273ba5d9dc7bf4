//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// group is a cluster that speaks TLS, and grows by join.
type group struct {
	net    *lab.Network
	client *lab.Host
	vm     *vm
	hosts  []*lab.Host
	dbs    []string
	nodes  []*node.Node
}

// newGroup starts the first node of a cluster.
func newGroup(t *testing.T) *group {
	t.Helper()
	g := &group{net: lab.New(t)}
	g.client = g.net.Host("client", clientAddr+"/24")
	g.vm = serve(t, g.net.Host("vm", vmAddr+"/24"), vmAddr+":7000", echo)
	g.machine(t)
	g.prepare(t, 0, node.Settings{"ssl": true, "virtual_addr": "10.99.0.100"})
	g.launch(t, 0)
	return g
}

// machine adds a host with room for a database.
func (g *group) machine(t *testing.T) int {
	t.Helper()
	i := len(g.hosts)
	g.hosts = append(g.hosts, g.net.Host(fmt.Sprint("gate", i+1), fmt.Sprintf("10.99.0.%d/24", i+1)))
	g.dbs = append(g.dbs, filepath.Join(t.TempDir(), "settings.db"))
	g.nodes = append(g.nodes, nil)
	return i
}

func (g *group) config(i int) node.Config { return node.Config{Binary: node.Binary(), DB: g.dbs[i]} }

func (g *group) prepare(t *testing.T, i int, over node.Settings) {
	t.Helper()
	cfg := g.config(i)
	cfg.Settings = over
	if err := node.Prepare(g.hosts[i], cfg); err != nil {
		t.Fatal(err)
	}
}

// launch starts a node and waits until it is ready.
func (g *group) launch(t *testing.T, i int) {
	t.Helper()
	n, err := node.Launch(g.hosts[i], g.config(i))
	if err != nil {
		t.Fatal(err)
	}
	g.nodes[i] = n
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of node %d:\n%s", i+1, lastLines(n.Log(), 20))
		}
		if err := n.Stop(); err != nil {
			t.Errorf("stop node %d: got %v, want exit code 0", i+1, err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// join runs the command on a machine of its own, which has no database.
func (g *group) join(t *testing.T, i int, args ...string) (string, error) {
	t.Helper()
	key := keyOf(t, &place{gate: g.hosts[0], node: g.nodes[0]}, "api_key")
	return command(t, g.hosts[i], append([]string{"join", "10.99.0.1", "--db", g.dbs[i], "--api-key", key}, args...)...)
}

// dispatcher calls a node with api_key, whatever certificate it has.
func (g *group) dispatcher(t *testing.T, i int) *node.Client {
	t.Helper()
	d := g.nodes[i].Dispatcher().Secure(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // who it is does not matter here
	t.Cleanup(d.Close)
	return d
}

// together waits until all nodes are alive for each other and have the same settings.
func (g *group) together(t *testing.T, call func(i int) *node.Client) {
	t.Helper()
	for i := range g.nodes {
		eventually(t, fmt.Sprintf("node %d knows that all are alive", i+1), func() bool {
			var h health
			if err := call(i).Call(t.Context(), http.MethodGet, "/v3/health/", nil, &h); err != nil {
				return false
			}
			alive := 0
			for _, m := range h.Cluster {
				if m.Alive {
					alive++
				}
			}
			fine := !slices.ContainsFunc(h.Checks, func(c check) bool { return c.Name == "cluster" && !c.OK })
			return alive == len(g.nodes) && fine
		})
	}
}

func TestTLSJoin(t *testing.T) {
	g := newGroup(t)
	first, err := shown(g.client, netip.AddrPortFrom(g.hosts[0].Addr(), node.APIPort))
	if err != nil {
		t.Fatal(err)
	}
	second := g.machine(t)
	want := fingerprint(first)
	for name, tt := range map[string]struct{ args, says []string }{
		"without trust":       {nil, []string{want, "--fingerprint " + want, "cert show"}},
		"a wrong fingerprint": {[]string{"--fingerprint", strings.Repeat("AB", 32)}, []string{want, "not that of --fingerprint"}},
		"a foreign authority": {[]string{"--ca", "/etc/ssl/certs/ca-certificates.crt"}, []string{want}},
	} {
		out, err := g.join(t, second, tt.args...)
		if err == nil {
			t.Errorf("%s: got %q, want a refusal", name, out)
		}
		has(t, name, out, tt.says...)
		hasNot(t, name, out, "cannot be reached", "is the node running")
	}
	if h := healthOf(t, g.dispatcher(t, 0)); h.SettingsRevision != 1 {
		t.Errorf("after refusals: got revision %d of the cluster's settings, want 1", h.SettingsRevision)
	}
	if out, err := g.join(t, second, "--fingerprint", want); err != nil {
		t.Fatalf("with the fingerprint: got %v, want nil", err)
	} else {
		has(t, "with the fingerprint", out, "is a node of the cluster")
	}
	g.launch(t, second)
	for _, args := range [][]string{{"--ca", g.nodes[0].Path("tls/self-signed.crt")}, {"--insecure"}} {
		next := g.machine(t)
		if _, err := g.join(t, next, args...); err != nil {
			t.Fatalf("join %s: got %v, want nil", args[0], err)
		}
		g.launch(t, next)
	}
	g.together(t, func(i int) *node.Client { return g.dispatcher(t, i) })
	for i, h := range g.hosts {
		out, err := command(t, h, "status", "--db", g.dbs[i])
		if err != nil {
			t.Errorf("status of node %d: got %v, want nil", i+1, err)
		}
		has(t, "status", out, "cluster 10.99.0.4  alive", "check certificate", "for 10.99.0.1 10.99.0.100 10.99.0.2 10.99.0.3 10.99.0.4")
	}
	g.switchUnderLoad(t)
}

// switchUnderLoad has the cluster speak without TLS and with it again, while
// WebSockets go through nodes that do not serve them.
func (g *group) switchUnderLoad(t *testing.T) {
	t.Helper()
	trust := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // who it is does not matter here
	plain := func(i int) *node.Client { return g.nodes[i].Dispatcher() }
	secure := func(i int) *node.Client { return g.dispatcher(t, i) }
	all := newChats(t)
	add := func(trust *tls.Config, name string) {
		for opened := range g.nodes {
			client := g.nodes[opened].Client(g.client)
			if trust != nil {
				client = client.Secure(trust)
			}
			for through, h := range g.hosts {
				way := carrier{g.client, netip.AddrPortFrom(h.Addr(), node.APIPort), client, trust, g.vm.addr}
				all.add(name, way.dial(t, fmt.Sprint(name, opened, through)))
			}
			client.Close()
		}
		all.goOn(t, name)
	}
	add(trust, "by TLS")
	began := time.Now()
	if _, err := secure(1).Change(t.Context(), node.Settings{"ssl": false}); err != nil {
		t.Fatal(err)
	}
	t.Logf("ssl false on four nodes took %s", time.Since(began).Round(time.Millisecond))
	all.goOn(t, "after ssl false")
	add(nil, "without TLS")
	g.together(t, plain)
	began = time.Now()
	if _, err := plain(2).Change(t.Context(), node.Settings{"ssl": true}); err != nil {
		t.Fatal(err)
	}
	t.Logf("ssl true on four nodes took %s", time.Since(began).Round(time.Millisecond))
	all.goOn(t, "after ssl true")
	add(trust, "by TLS again")
	g.together(t, secure)
	all.end()
	all.report(t, "in the end")
}
