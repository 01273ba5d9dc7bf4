//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// command runs vdi-gateway on a host.
func command(t *testing.T, h *lab.Host, args ...string) (string, error) {
	t.Helper()
	return run(t, h, "", node.Binary(), args...)
}

// onNode runs vdi-gateway on the host of the node, for its database.
func (p *place) onNode(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return command(t, p.gate, append(args, "--db", p.node.Path("settings.db"))...)
}

func TestTLSCertCommands(t *testing.T) {
	p := newPlace(t, node.Config{Settings: node.Settings{"ssl": true}})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	trust := selfSigned(t, p)
	client := p.node.Client(p.client).Secure(trust)
	t.Cleanup(client.Close)
	all := newChats(t)
	all.add("session", carrier{p.client, p.apiAt(), client, trust, v.addr}.dial(t, "user"))
	first, err := shown(p.client, p.apiAt())
	if err != nil {
		t.Fatal(err)
	}
	p.wantCertShow(t, fingerprint(first), selfSignedFile(p), "this node itself", "The node at 10.99.0.1:8000 shows it.")

	out, err := p.onNode(t, "cert", "renew")
	if err != nil {
		t.Fatalf("cert renew: %v", err)
	}
	began := time.Now()
	var next string
	for {
		c, err := shown(p.client, p.apiAt())
		if err == nil && !c.Equal(first) {
			next = fingerprint(c)
			break
		}
		if time.Since(began) > quick {
			t.Fatalf("cert renew: after %s new clients still see %s (%v), want another one", quick, nameOf(c), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("cert renew: new clients see the new certificate after %s", time.Since(began).Round(time.Millisecond))
	has(t, "cert renew", out, next, "this node itself")
	p.wantCertShow(t, next, "The node at 10.99.0.1:8000 shows it.")
	p.wantStatus(t, next)
	all.goOn(t, "after cert renew")
	if err := p.node.Stop(); err != nil {
		t.Errorf("stop the node: got %v, want nil", err)
	}
	p.wantCertShow(t, next, "No node runs at 10.99.0.1:8000")
}

func (p *place) wantCertShow(t *testing.T, says ...string) {
	t.Helper()
	out, err := p.onNode(t, "cert", "show")
	if err != nil {
		t.Errorf("cert show: got %v, want nil", err)
	}
	has(t, "cert show", out, append(says, "10.99.0.1", "ECDSA, P-256", "1 certificates")...)
}

// wantStatus asks on the node itself, which needs no trust in the certificate.
func (p *place) wantStatus(t *testing.T, fingerprint string) {
	t.Helper()
	out, err := p.onNode(t, "status")
	if err != nil {
		t.Errorf("status: got %v, want nil", err)
	}
	has(t, "status", out, "check certificate", fingerprint)
}

// Files of an authority are its affair.
func TestTLSCertCommandsWithFiles(t *testing.T) {
	s := newSecurePlace(t, nil)
	out, err := s.onNode(t, "cert", "show")
	if err != nil {
		t.Errorf("cert show: got %v, want nil", err)
	}
	has(t, "cert show", out, fingerprint(s.first.leaf), s.files.cert, "CN=e2e intermediate", "desk.example.com 10.99.0.1 fd99::1", "2 certificates", "shows it.")
	if out, err = s.onNode(t, "cert", "renew"); err == nil {
		t.Errorf("cert renew: got %q, want a refusal", out)
	}
	has(t, "cert renew", out, s.files.cert, "renew that with its authority")
	s.wantStatus(t, fingerprint(s.first.leaf))
	s.wantShown(t, s.first.leaf)

	put(t, s.files.cert, s.authority.issue(t, -time.Hour, year).cert)
	if out, err = s.onNode(t, "cert", "show"); err == nil {
		t.Errorf("cert show of files that do not fit: got %q, want an error", out)
	}
	has(t, "cert show of files that do not fit", out, s.files.cert, s.files.key, "do not belong together")
	s.files.put(t, s.authority.issue(t, -year, -time.Hour))
	if out, err = s.onNode(t, "cert", "show"); err == nil {
		t.Errorf("cert show of an expired pair: got %q, want an error", out)
	}
	has(t, "cert show of an expired pair", out, "shows ANOTHER one", fingerprint(s.first.leaf), "expired on")
}

func TestTLSStatusFromElsewhere(t *testing.T) {
	s := newSecurePlace(t, nil)
	want := fingerprint(s.first.leaf)
	bare := strings.ToLower(strings.ReplaceAll(want, ":", ""))
	wrong := strings.Repeat("AB:", 31) + "AB"
	ask := func(server string, args ...string) (string, error) {
		return command(t, s.client, append([]string{"status", "--server", server, "--api-key", keyOf(t, s.place, "api_key")}, args...)...)
	}
	for name, tt := range map[string]struct {
		server string
		args   []string
	}{
		"with --ca":                      {"https://10.99.0.1:8000", []string{"--ca", s.rootFile(t)}},
		"with --fingerprint":             {"https://10.99.0.1:8000", []string{"--fingerprint", want}},
		"with --fingerprint, no colons":  {"https://10.99.0.1:8000/", []string{"--fingerprint", bare}},
		"with --fingerprint, by no name": {"https://[fd99::1]:8000", []string{"--fingerprint", want}},
	} {
		out, err := ask(tt.server, tt.args...)
		if err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
		has(t, name, out, "status", "ok", want)
	}
	for name, tt := range map[string]struct {
		server  string
		args    []string
		says    []string
		saysNot string
	}{
		"without trust":         {"https://10.99.0.1:8000", nil, []string{"--ca", "--fingerprint", "cert show"}, "is the node running"},
		"a wrong fingerprint":   {"https://10.99.0.1:8000", []string{"--fingerprint", wrong}, []string{want, "--fingerprint"}, "is the node running"},
		"no fingerprint at all": {"https://10.99.0.1:8000", []string{"--fingerprint", "abc"}, []string{"64 hexadecimal digits"}, "running"},
		"a ca that is none":     {"https://10.99.0.1:8000", []string{"--ca", s.files.key}, []string{s.files.key, "no certificate"}, "running"},
		"a ca that is not":      {"https://10.99.0.1:8000", []string{"--ca", "/nowhere/ca.crt"}, []string{"/nowhere/ca.crt"}, "running"},
		"without https":         {"http://10.99.0.1:8000", []string{"--ca", s.rootFile(t)}, []string{"https://10.99.0.1:8000"}, "is the node running"},
		"without a scheme":      {"10.99.0.1:8000", nil, []string{"https://10.99.0.1:8000"}, "is the node running"},
	} {
		out, err := ask(tt.server, tt.args...)
		if err == nil {
			t.Errorf("%s: got %q, want an error", name, out)
		}
		has(t, name, out, tt.says...)
		hasNot(t, name, out, tt.saysNot, keyOf(t, s.place, "api_key"))
	}
}
