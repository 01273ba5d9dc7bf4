package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/settingsdb"
)

func gated(t *testing.T, allow, deny, policy string) planAccess {
	t.Helper()
	s := settingsdb.Default()
	s.InternalAddrs = []string{"10.0.0.1", "10.0.0.2"}
	s.Access = settingsdb.Access{AllowFrom: allow, DenyFrom: deny, Policy: policy}
	return planGate(s)
}

func TestNobodyLocksOutTheCluster(t *testing.T) {
	p := gated(t, "10.9.0.0/16", "all", "allow")
	for client, want := range map[string]bool{
		"10.9.0.1": true, "::ffff:10.9.0.1": true, "10.0.0.2": true, "::ffff:10.0.0.1": true, "127.0.0.1": true, "::1": true,
		"10.0.0.3": false, "fe80::1%eth0": false,
	} {
		if got := p.admits(netip.MustParseAddr(client)); got != want {
			t.Errorf("%s: got %t, want %t", client, got, want)
		}
	}
}

func TestWhoIsLockedOutIsWarned(t *testing.T) {
	s := settingsdb.Default()
	s.Access = settingsdb.Access{AllowFrom: "10.9.0.0/16", Policy: "deny"}
	if got := lockedOut(s, netip.MustParseAddr("10.8.0.1")); len(got) != 1 || !strings.Contains(got[0], "10.8.0.1") {
		t.Errorf("got %q, want a warning", got)
	}
	for _, fine := range []netip.Addr{netip.MustParseAddr("10.9.0.1"), {}} {
		if got := lockedOut(s, fine); got != nil {
			t.Errorf("%s: got %q, want none", fine, got)
		}
	}
}

// A flood of strangers is counted, and told once a second.
func TestDenialsAreToldAtABoundedRate(t *testing.T) {
	lines := &lockedBuffer{}
	log := logrus.New()
	log.SetOutput(lines)
	g := newGate(log)
	g.apply(gated(t, "", "all", "deny"))
	at, stranger := time.Now(), netip.MustParseAddr("10.8.0.1")
	for range 1000 {
		g.tell(stranger, at)
	}
	g.tell(stranger, at.Add(denialEvery))
	eventually(t, "two lines", func() bool { return strings.Count(lines.String(), "denied") == 2 })
	if got := lines.String(); !strings.Contains(got, "more=999") {
		t.Errorf("got %s, want the 999 others in the second line", got)
	}
	if g.admits(stranger) || g.denied.Load() != 1 {
		t.Errorf("got %d denied, want 1", g.denied.Load())
	}
}
