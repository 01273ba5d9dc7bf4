package gateway

import (
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func TestUnusedGrantEnds(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t, func(c *Config) { c.Timeouts.Grant = 300 * time.Millisecond }), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	if left := time.Until(g.ExpiresAt); g.TTL != 300*time.Millisecond || left <= 0 || left > g.TTL {
		t.Errorf("got %s left of %s, want a part of it", left, g.TTL)
	}
	eventually(t, "its end", func() bool { return r.Health().Used == 0 })
	if time.Now().Before(g.ExpiresAt) {
		t.Error("it ended before its time")
	}
	eventually(t, "its port closed", func() bool { return len(r.openPorts()) == 0 })
	_, err := r.Renew(t.Context(), g.ID, g.Token, g.Client)
	refusedWith(t, err, ErrExpired)
	if free, want := r.Health().FreePorts, 100; free != want {
		t.Errorf("got %d free ports, want %d", free, want)
	}
}

func TestUsedGrantLivesUntilItsLastChannelAndTTL(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, living(1500*time.Millisecond))
	c := r.enter(g)
	says(t, c, "hello")
	for time.Now().Before(g.ExpiresAt.Add(2 * sweepEvery)) {
		says(t, c, "still here")
		time.Sleep(20 * time.Millisecond) // the pace of the traffic
	}
	closing := time.Now()
	c.Close()
	r.audit.closed(t, g.ID, relay.ClientClosed)
	eventually(t, "the grant's end", func() bool { return r.Health().Used == 0 })
	if took := time.Since(closing); took < g.TTL {
		t.Errorf("it ended %s after the last channel, want its ttl of %s at least", took, g.TTL)
	}
}

func TestReconnectWithinTTL(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	for i := range 3 {
		c := r.enter(g)
		says(t, c, "hello")
		c.Close()
		eventually(t, "the session's end", func() bool { return r.audit.count(EventClose) == i+1 })
	}
	if now, ok := r.the(g.ID); !ok || now.BytesUp != 15 {
		t.Errorf("got %+v, want the grant with the bytes of all its sessions", now)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr, living(2*time.Second))
	for end := g.ExpiresAt.Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l, err := r.Renew(t.Context(), g.ID, g.Token, g.Client)
		if err != nil || l.ID != g.ID || l.State != StateGranted || l.Port != g.Port || l.Addr != g.Addr || l.Heartbeat != 20*time.Second {
			t.Fatalf("got %+v (%v), want the granted connection", l, err)
		}
		if left := time.Until(l.ExpiresAt); left <= 0 || left > g.TTL {
			t.Fatalf("got %s left, want up to %s", left, g.TTL)
		}
	}
	g = r.granted("127.0.0.5", vm.addr)
	says(t, r.enter(g), "hello")
	if l, err := r.Renew(t.Context(), g.ID, g.Token, g.Client); err != nil || l.State != StateActive {
		t.Errorf("got %+v (%v), want an active connection", l, err)
	}
	_, err := r.Renew(t.Context(), g.ID, g.Token, netip.MustParseAddr("127.0.0.6"))
	refusedWith(t, err, ErrForbidden)
	_, err = r.Renew(t.Context(), g.ID, "another token", g.Client)
	refusedWith(t, err, ErrForbidden)
	_, err = r.Renew(t.Context(), "another id", g.Token, g.Client)
	refusedWith(t, err, ErrNotFound)
	w := r.granted("127.0.0.5", vm.addr, overWebSocket)
	if _, err := r.Renew(t.Context(), w.ID, w.Token, netip.MustParseAddr("127.0.0.6")); err != nil {
		t.Errorf("got %v for mode websocket from elsewhere, want a renewal", err)
	}
}

func TestGiveBack(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	c := r.enter(g)
	says(t, c, "hello")
	refusedWith(t, r.GiveBack(t.Context(), g.ID, g.Token, netip.MustParseAddr("127.0.0.6")), ErrForbidden)
	refusedWith(t, r.GiveBack(t.Context(), g.ID, "another token", g.Client), ErrForbidden)
	says(t, c, "still here")
	if err := r.GiveBack(t.Context(), g.ID, g.Token, g.Client); err != nil {
		t.Fatal(err)
	}
	if err := endsWithin(t, c, prompt); !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	r.audit.closed(t, g.ID, relay.ClientClosed)
	refusedWith(t, r.GiveBack(t.Context(), g.ID, g.Token, g.Client), ErrNotFound)
	if next := r.granted("127.0.0.5", vm.addr); next.Port != g.Port {
		t.Errorf("got port %d, want the one given back, %d", next.Port, g.Port)
	}
}

func TestIdleSessionEnds(t *testing.T) {
	t.Parallel()
	const idle = 1500 * time.Millisecond
	r, vm := newRig(t, func(c *Config) { c.Timeouts.Idle = idle }), newEcho(t)
	busy, quiet := r.granted("127.0.0.5", vm.addr), r.granted("127.0.0.6", vm.addr)
	b, q := r.enter(busy), r.enter(quiet)
	says(t, q, "hello")
	said := time.Now()
	eventually(t, "the idle session's end", func() bool {
		says(t, b, "still here")
		return r.audit.count(EventClose) == 1
	})
	if took := time.Since(said); took < idle {
		t.Errorf("it ended after %s, want at least %s", took, idle)
	}
	r.audit.closed(t, quiet.ID, ReasonIdle)
	if err := endsWithin(t, q, prompt); !isReset(err) {
		t.Errorf("got %v, want a reset", err)
	}
	says(t, b, "still here")
	says(t, r.enter(quiet), "and back again") // the grant stays for its ttl
}

func TestMaximumEndsBusySessionAndGrant(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t, func(c *Config) { c.Timeouts.SessionMax = time.Second }), newEcho(t)
	g := r.granted("127.0.0.5", vm.addr)
	c := r.enter(g)
	begin := time.Now()
	var err error
	for err == nil {
		err = said(c, "busy")
	}
	if took := time.Since(begin); took < 900*time.Millisecond || !isReset(err) && took > patience {
		t.Errorf("it ended with %v after %s, want a reset after a second", err, took)
	}
	r.audit.closed(t, g.ID, ReasonMaxTime)
	_, err = r.Renew(t.Context(), g.ID, g.Token, g.Client)
	refusedWith(t, err, ErrNotFound)
	shut(t, "127.0.0.5", netip.AddrPortFrom(r.addr, g.Port))
}

func TestHalfClosedSilenceEndsASession(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Timeouts.HalfClose = 100 * time.Millisecond })
	vm := newSink(t) // it does not finish when its client does
	g := r.granted("127.0.0.5", vm.addr)
	c := r.enter(g)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = endsWithin(t, c, patience)
	r.audit.closed(t, g.ID, relay.ClientClosed)
}
