package main

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// TestPulseSeesAnOutage moves the address from one host to another, with a pause.
func TestPulseSeesAnOutage(t *testing.T) {
	const away = 100 * time.Millisecond
	n := lab.New(t)
	virtual := netip.MustParseAddr("10.99.0.99")
	client, one, two := n.Host("client", "10.99.0.10/24"), n.Host("one", "10.99.0.1/24"), n.Host("two", "10.99.0.2/24")
	if err := one.Take(virtual); err != nil {
		t.Fatal(err)
	}
	p, err := startPulse(client, []*lab.Host{one, two}, virtual)
	if err != nil {
		t.Fatal(err)
	}
	answers := func(since time.Time) {
		t.Helper()
		if err := await(t.Context(), func() bool { return p.answered(since) }); err != nil {
			t.Fatalf("nobody answers: %v", err)
		}
	}
	begun := time.Now()
	answers(begun)
	if err := one.Drop(virtual); err != nil {
		t.Fatal(err)
	}
	_ = pause(t.Context(), away) // the test's context ends after it
	if err := two.Take(virtual); err != nil {
		t.Fatal(err)
	}
	if err := client.Forget(); err != nil {
		t.Fatal(err)
	}
	answers(time.Now())
	if got, err := p.outage(begun, time.Now()); err == nil && got < away/2 {
		t.Errorf("got an outage of %s, want about %s", got, away)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}
