package relay_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

func TestPingsAreNoActivity(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{Ping: 10 * time.Millisecond})
	pass(t, tun.vm, tun.web, "hello")
	pass(t, tun.web, tun.vm, "hello yourself")
	sawFigures(t, tun.pair, 14, 5)
	var last time.Time
	for enough := 1; tun.web.pings < enough || last.IsZero(); {
		if tun.web.pings > 0 && last.IsZero() {
			last, enough = tun.pair.Stats().LastActivity, tun.web.pings+2
		}
		_ = tun.client.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := tun.web.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want pings alone", err)
		}
	}
	if s := tun.pair.Stats(); !s.LastActivity.Equal(last) || s.Up != 14 || s.Down != 5 {
		t.Errorf("got %+v, want nothing moved since %s", s, last)
	}
	select {
	case got := <-tun.ended:
		t.Errorf("got %+v, want a client that answers left alone", got)
	default:
	}
}

// A client that answers no ping is given up, whether it is idle or stuck.
func TestADeadClientIsGivenUp(t *testing.T) {
	e := running(t)
	dead := map[string]*webTunnel{}
	for _, name := range []string{"idle", "in the middle of a frame", "while it takes nothing"} {
		dead[name] = openWeb(t, e, relay.Options{Ping: 50 * time.Millisecond, Pong: 50 * time.Millisecond})
	}
	_, _ = dead["in the middle of a frame"].client.Write(webFrame(0x82, []byte("hello"), [4]byte{})[:8])
	go func() { _, _ = io.Copy(dead["while it takes nothing"].vm, endless{}) }()
	for name, tun := range dead {
		if got := tun.result().Reason; got != relay.KeepaliveTimeout {
			t.Errorf("%s: got %s, want keepalive_timeout", name, got)
		}
		closedWithin(t, tun.vm, prompt)
		closedWithin(t, tun.client, prompt)
	}
}

// One that is busy taking data shows life by that.
func TestASlowClientIsNotGivenUp(t *testing.T) {
	tun := openWeb(t, running(t), relay.Options{Ping: 200 * time.Millisecond, Pong: 800 * time.Millisecond})
	tun.web.mute = true
	go func() { _, _ = io.Copy(tun.vm, endless{}) }()
	stuck(tun.tunnel)
	buf := make([]byte, 1<<20)
	for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(20 * time.Millisecond) { // its pace
		if _, err := tun.web.Read(buf); err != nil {
			t.Fatalf("got %v after %s, want to be left alone", err, time.Since(began))
		}
	}
}
