package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
)

// TestAClusterChangesToTLSAndBack: sessions stay, and clients notice a redirect at
// most.
func TestAClusterChangesToTLSAndBack(t *testing.T) {
	t.Parallel()
	g, vm := startGroup(t, 3, nil), startVM(t)
	var sessions []session
	for i := range 30 {
		from := loopback(fmt.Sprint(t.Name(), " client ", i%4))
		sessions = append(sessions, g.nodes[i%3].openFrom(t, from, vm, nil).dial(t, from))
	}
	stop := g.keepOpening(t, vm)
	for i, document := range []keys{
		{"ssl": true},
		{"cluster_key": "another-cluster-key-0123456789"},
		{"tls": keys{"disable_tls_1_2": true}},
		{"api_port": testMoved},
		{"api_port": testAPIPort},
		{"ssl": false},
		{"ssl": true, "cluster_key": testClusterKey},
	} {
		port := testAPIPort
		if i == 4 {
			port = testMoved
		}
		g.nodes[i%3].call(t, 200, call{path: "/v3/change_settings/", body: document, port: port})
		for began := time.Now(); time.Since(began) < 600*time.Millisecond; { // the balancers check twice a second
			for k, s := range sessions {
				if err := s.echo("x"); err != nil {
					t.Fatalf("after %v session %d: %v", document, k, err)
				}
			}
		}
	}
	stop()
	g.together(t)
	for _, n := range g.nodes {
		if _, log, _ := strings.Cut(n.log.String(), "settings changed"); strings.Contains(log, "no longer sent to this node") {
			t.Errorf("%s took a node for dead", n.addr)
		}
		for _, other := range g.nodes {
			n.call(t, 200, call{path: "/v3/nodes/" + other.addr.String() + "/health/"})
		}
	}
}

// keepOpening opens tunnels at all nodes, one after the other, until it is stopped.
// While the API moves to another port nobody can.
func (g *group) keepOpening(t *testing.T, vm *net.TCPAddr) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var opened, failed, late int
	var loop sync.WaitGroup
	loop.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			body := keys{"vm_address": vm.IP.String(), "vm_port": vm.Port, "probe": false, "ttl_s": 5}
			from := loopback(fmt.Sprint(t.Name(), " opener ", i%40))
			r, err := g.nodes[i%3].try(call{path: "/v3/open_connection/", body: body, key: testCLIKey, from: from})
			switch {
			case err != nil && strings.Contains(err.Error(), "connect: connection refused"):
			case err != nil && strings.Contains(err.Error(), "connect: connection reset"): // the port closed this very moment
			case err != nil && strings.Contains(err.Error(), "remote error: tls"):
				late++ // sent to https by a node that has no TLS any more when the client comes
			case err != nil || r.status != 201 && r.status != 200:
				failed++
				t.Logf("open at %s: status %d, %v", g.nodes[i%3].addr, r.status, err)
			default:
				opened++
			}
		}
	})
	return func() {
		close(done)
		loop.Wait()
		if failed > 0 || late > 2 || opened == 0 {
			t.Errorf("got %d tunnels, %d failures and %d that came too late by TLS, want none of these, and 2 at most", opened, failed, late)
		}
	}
}

func TestJoinAndLeaveOverTLS(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 2, keys{"ssl": true})
	own := loopback(t.Name())
	db := newDatabase(t, testSettings(t, own, nil))
	n := launch(t, db, own, "--node", own.String())
	n.waitReady(t)
	wrong := strings.Repeat("00", 32)
	if out, err := command(t, append(g.joining(db, own.String(), testAPIKey), "--fingerprint", wrong)...); err == nil || !strings.Contains(out, "not that of --fingerprint") {
		t.Errorf("another certificate: got %v, %s, want a refusal", err, out)
	}
	out, err := command(t, append(g.joining(db, own.String(), testAPIKey), "--fingerprint", g.fingerprint(t))...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g.nodes = append(g.nodes, n)
	g.together(t)
	if out, err := command(t, "status", "--db", db, "--server", "https://"+net.JoinHostPort(own.String(), strconv.Itoa(testAPIPort))); err != nil || !strings.Contains(out, "check certificate") {
		t.Errorf("got %v, %s, want the state with the certificate", err, out)
	}
	issued := filepath.Join(certificateDeps(db).Dir, "acme/certificates/ca/desk/desk.key")
	if err := errors.Join(os.MkdirAll(filepath.Dir(issued), 0o700), os.WriteFile(issued, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err = command(t, "leave", "--db", db, "--node", own.String()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(issued); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the key of the cluster's certificate: got %v, want it gone", err)
	}
	g.nodes = g.nodes[:2]
	g.together(t)
	g.hasLeft(t, n, db)
}

// fingerprint is that of the first node's certificate.
func (g *group) fingerprint(t *testing.T) string {
	t.Helper()
	p, err := certificate.Find(planCertificate(mustSettings(t, g.nodes[0].db)), certificateDeps(g.nodes[0].db))
	if err != nil {
		t.Fatal(err)
	}
	return p.Fingerprint()
}

// A node of another cluster, or somebody in between, is not spoken to.
func TestNodesOfOtherKeysDoNotMeetOverTLS(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 2, keys{"ssl": true})
	g.nodes[1].kill()
	s := g.document(t, nodesOf(mustSettings(t, g.nodes[0].db)), keys{"ssl": true, "cluster_key": "a-key-of-somebody-else-012345"})
	other := launch(t, newDatabase(t, s), g.nodes[1].addr, "--node", g.nodes[1].addr.String())
	other.waitAlive(t)
	r := g.nodes[0].call(t, 503, call{path: "/v3/nodes/" + other.addr.String() + "/health/"})
	if !strings.Contains(string(r.body), "does not answer") {
		t.Errorf("got %s, want that the node does not answer", r.body)
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(g.nodes[0].log.String(), "no node of this cluster") })
}

func mustSettings(tb testing.TB, db string) settingsdb.Settings {
	tb.Helper()
	s, err := readSettings(tb.Context(), db)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
