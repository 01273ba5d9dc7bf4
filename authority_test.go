package main

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vdi-gateway/api/certificate/acme"
	"vdi-gateway/settingsdb"
)

// testChallenges is where nodes of these tests answer challenges.
const testChallenges = 18080

// withACME are settings of a node whose authority is a port where nobody listens.
func withACME(over keys) keys {
	a := keys{"directory": "https://127.0.0.1:9/dir", "names": []string{"desk.example"}, "port": testChallenges}
	for k, v := range over {
		a[k] = v
	}
	return keys{"ssl": true, "tls": keys{"acme": a}}
}

func TestPlanACME(t *testing.T) {
	own, a := netip.MustParseAddr("10.0.0.1"), settingsdb.ACME{
		Directory: "https://ca.example/dir", Email: "ops@example.com", Names: []string{"Desk.example"}, Port: 80, CAFile: "/ca.pem",
	}
	for _, tt := range []struct {
		name   string
		node   netip.Addr
		change func(*settingsdb.Settings)
		want   acme.Config
	}{
		{"not wanted", own, func(s *settingsdb.Settings) { s.TLS.ACME = nil }, acme.Config{}},
		{"without TLS", own, func(s *settingsdb.Settings) { s.SSL = false }, acme.Config{}},
		{"on a host that is none of the nodes", netip.Addr{}, func(*settingsdb.Settings) {}, acme.Config{}},
		{"alone", own, func(s *settingsdb.Settings) { s.VirtualAddr = "" }, acme.Config{
			Enabled: true, Directory: a.Directory, Email: a.Email, Name: "desk.example", CAFile: a.CAFile,
			Listen: netip.MustParseAddrPort("10.0.0.1:80"), HTTPS: 8000,
		}},
		{"in a cluster, where clients come", own, func(s *settingsdb.Settings) { s.VirtualAddr = "10.0.0.100" }, acme.Config{
			Enabled: true, Directory: a.Directory, Email: a.Email, Name: "desk.example", CAFile: a.CAFile,
			Listen: netip.MustParseAddrPort("10.0.0.100:80"), Freebind: true, HTTPS: 8002,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := settingsdb.Fresh(own)
			if err != nil {
				t.Fatal(err)
			}
			wanted := a
			s.SSL, s.TLS.ACME = true, &wanted
			tt.change(&s)
			if diff := cmp.Diff(tt.want, planACME(s, tt.node), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			issued := planCertificate(s).Issued
			if want := s.TLS.ACME != nil; (issued == "acme/certificates/ca.example-dir/desk.example/desk.example") != want {
				t.Errorf("got the files %q, want them: %t", issued, want)
			}
			listens := slices.ContainsFunc(newPlan(s, tt.node).listens(), func(l listening) bool { return l.addr == tt.want.Listen })
			if listens != tt.want.Enabled {
				t.Errorf("got the port for challenges among those that have to be free: %t, want %t", listens, tt.want.Enabled)
			}
		})
	}
}

func TestChecksOfACME(t *testing.T) {
	cfg := acme.Config{Enabled: true, Directory: "https://ca.example", Name: "desk.example"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		status acme.Status
		ok     bool
		says   string
	}{
		"active":  {acme.Status{Config: cfg, Active: true}, true, "this node asks https://ca.example for desk.example"},
		"standby": {acme.Status{Config: cfg}, true, "another node asks"},
		"refused": {acme.Status{Config: cfg, Active: true, Err: errors.New("rate limited"), Next: at}, false, "rate limited; next try at 2026-01-02T03:04:05Z"},
		"disk":    {acme.Status{Config: cfg, Unkept: errors.New("no space left")}, false, "cannot be kept here: no space left"},
		"port":    {acme.Status{Config: cfg, Port: errors.New("bind :80")}, false, "not answered here: bind :80"},
	} {
		got := acmeChecks(tt.status)
		if len(got) != 1 || got[0].Name != "acme" || got[0].OK != tt.ok || !strings.Contains(got[0].Detail, tt.says) {
			t.Errorf("%s: got %+v, want ok %t and %q", name, got, tt.ok, tt.says)
		}
	}
	if got := acmeChecks(acme.Status{}); len(got) > 0 {
		t.Errorf("not wanted: got %+v, want no check", got)
	}
}

func TestWhoLeavesDoesNotAskForTheClustersName(t *testing.T) {
	s := settingsdb.Settings{TLS: settingsdb.TLS{ACME: &settingsdb.ACME{}}}
	if got := aloneAs(s, netip.MustParseAddr("10.0.0.1")).TLS.ACME; got != nil {
		t.Errorf("got %+v, want it gone", got)
	}
}

func TestACMEComesAndGoesWhileANodeRuns(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	session := n.openFrom(t, n.addr, vm, nil).dial(t, n.addr)
	r := n.call(t, 422, call{path: "/v3/change_settings/", body: withACME(keys{"directory": "http://ca.example", "names": []string{"a", "b"}})})
	for _, want := range []string{"tls.acme.directory", "tls.acme.names"} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("got %s, want a problem of %s", r.body, want)
		}
	}
	missing := withACME(keys{"ca_file": filepath.Join(t.TempDir(), "none.pem")})
	if r, err := n.try(call{path: "/v3/change_settings/", body: missing}); err != nil || r.status == 200 || !strings.Contains(string(r.body), "none.pem") {
		t.Errorf("ca_file: got %d %s, %v, want a refusal that names it", r.status, r.body, err)
	}
	n.call(t, 200, call{path: "/v3/change_settings/", body: withACME(nil)})
	eventually(t, "health says that nobody answers", func() bool {
		ok, detail := n.health(t, 200).check("acme")
		return !ok && strings.Contains(detail, "connection refused")
	})
	if h := n.health(t, 200); h.Status != "degraded" {
		t.Errorf("got %s, want degraded", h.Status)
	}
	if ok, detail := n.health(t, 200).check("certificate"); ok || !strings.Contains(detail, "issued no certificate yet") {
		t.Errorf("certificate: got %t, %s, want that it is awaited", ok, detail)
	}
	n.call(t, 200, call{path: "/v3/change_settings/", body: keys{"tls": keys{}}})
	if _, detail := n.health(t, 200).check("acme"); !strings.Contains(detail, "no check") {
		t.Errorf("posted without acme: got %s, want no check", detail)
	}
	if ok, detail := n.health(t, 200).check("certificate"); !ok {
		t.Errorf("certificate: got %s, want the self-signed one and no fault", detail)
	}
	if err := session.echo("x"); err != nil {
		t.Errorf("the session: %v", err)
	}
}

// On one loopback nobody wins the virtual address.
func TestTheFirstLivingNodeOfALoopbackAsks(t *testing.T) {
	t.Parallel()
	g := startGroup(t, 2, withACME(nil))
	asks := func(i int) func() bool {
		return func() bool {
			_, detail := g.nodes[i].health(t, 200).check("acme")
			return strings.Contains(detail, "issues no certificate")
		}
	}
	eventually(t, "the first one asks", asks(0))
	if ok, detail := g.nodes[1].health(t, 200).check("acme"); !ok || !strings.Contains(detail, "another node") {
		t.Errorf("the second one: got %t, %s, want that it does not", ok, detail)
	}
	g.nodes[0].kill()
	eventually(t, "the second one asks", asks(1))
}
