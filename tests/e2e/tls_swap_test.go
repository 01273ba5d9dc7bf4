//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"
)

// swapSessions use the node while its certificate changes.
const swapSessions = 200

// A new certificate is for new connections; those that are there do not notice.
func TestTLSNewCertificateKeepsSessions(t *testing.T) {
	s := newSecurePlace(t, nil)
	all := s.manySessions(t)
	resumed := map[uint16]*tls.Config{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resumed[version] = s.resumable(t, version)
	}

	second := s.authority.issue(t, -time.Hour, year)
	s.files.put(t, second)
	t.Logf("renewed by rename: new clients see it after %s", s.soonShown(t, second.leaf).Round(time.Millisecond))
	s.wantShown(t, second.leaf)
	all.goOn(t, "after files were renamed")
	for version, cfg := range resumed {
		state := s.resume(t, cfg)
		if state.DidResume || !state.PeerCertificates[0].Equal(second.leaf) {
			t.Errorf("%s with a ticket of before: got resumed %t and %s, want the new certificate", tls.VersionName(version), state.DidResume, nameOf(state.PeerCertificates[0]))
		}
	}

	third := s.authority.issue(t, -time.Hour, year)
	s.overwriteSlowly(t, second.leaf, third)
	s.wantShown(t, third.leaf)
	all.goOn(t, "after files were overwritten")

	fourth := s.authority.issue(t, -time.Hour, year)
	s.files.relink(t, fourth)
	t.Logf("a symbolic link to other files: new clients see them after %s", s.soonShown(t, fourth.leaf).Round(time.Millisecond))
	all.goOn(t, "after a symbolic link was changed")
	t.Logf("%d exchanges on %d sessions meanwhile", all.rounds(), swapSessions)
	all.end()
	all.report(t, "in the end")
}

// manySessions has WebSockets by TLS exchange data.
func (s *securePlace) manySessions(t *testing.T) *chats {
	t.Helper()
	v := serve(t, s.vmHost, vmAddr+":7000", echo)
	trust := trustRoots(s.authority.roots)
	client := s.node.Client(s.client).Secure(trust)
	t.Cleanup(client.Close)
	all := newChats(t)
	way := carrier{s.client, s.apiAt(), client, trust, v.addr}
	for i := range swapSessions {
		all.add("session", way.dial(t, fmt.Sprint("user", i)))
	}
	return all
}

// resumable is a client that has a session ticket, and shows that it works.
func (s *securePlace) resumable(t *testing.T, version uint16) *tls.Config {
	t.Helper()
	cfg := trustRoots(s.authority.roots)
	cfg.MaxVersion, cfg.ClientSessionCache, cfg.ServerName = version, tls.NewLRUClientSessionCache(4), gateAddr
	for again := range 2 {
		if state := s.resume(t, cfg); state.DidResume != (again == 1) {
			t.Errorf("%s, handshake %d: got resumed %t, want %t", tls.VersionName(version), again+1, state.DidResume, again == 1)
		}
	}
	return cfg
}

// resume asks for something, so that the ticket of TLS 1.3 arrives.
func (s *securePlace) resume(t *testing.T, cfg *tls.Config) tls.ConnectionState {
	t.Helper()
	c, err := s.client.Dial(netip.Addr{}, s.apiAt(), quick)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(c, cfg)
	if _, err := io.WriteString(secure, "GET /livez HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(secure); err != nil {
		t.Fatalf("GET /livez: got %q and %v, want an answer", text, err)
	}
	return secure.ConnectionState()
}

// overwriteSlowly writes into the files that are there, a part at a time. Until they
// fit again the certificate of before is shown.
func (s *securePlace) overwriteSlowly(t *testing.T, before *x509.Certificate, next pair) {
	t.Helper()
	half := len(next.cert) / 2
	for _, step := range []struct {
		path string
		text []byte
	}{{s.files.cert, next.cert[:half/2]}, {s.files.cert, next.cert[:half]}, {s.files.cert, next.cert}} {
		if err := os.WriteFile(step.path, step.text, 0o600); err != nil { // truncates, then writes
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if got, err := shown(s.client, s.apiAt()); err != nil || !got.Equal(before) {
				t.Fatalf("while files do not fit: got %s and %v, want %s", nameOf(got), err, nameOf(before))
			}
		}
	}
	if err := os.WriteFile(s.files.key, next.key, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("overwritten slowly: new clients see it %s after the last byte", s.soonShown(t, next.leaf).Round(time.Millisecond))
}

// relink makes the files symbolic links to those of another pair.
func (f files) relink(t *testing.T, p pair) {
	t.Helper()
	other := newFiles(t, p)
	for from, to := range map[string]string{f.cert: other.cert, f.key: other.key} {
		if err := os.Symlink(to, from+".link"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(from+".link", from); err != nil {
			t.Fatal(err)
		}
	}
}
