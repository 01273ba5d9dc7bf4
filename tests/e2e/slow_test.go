package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// slowTime is five times what a client has for the head of a request.
const slowTime = 5 * 5 * time.Second

func TestSlowClientsOfTheAPIAreDropped(t *testing.T) {
	t.Parallel()
	p := newPlace(t, node.Config{})
	api := netip.AddrPortFrom(p.gate.Addr(), node.APIPort)
	const attackers = 50
	ended := make(chan error, attackers)
	for i := range attackers {
		c, err := p.stranger.Dial(netip.Addr{}, api, patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			_, _ = fmt.Fprintf(c, "GET /v3/health/ HTTP/1.1\r\nHost: gate%d\r\n", i)
			stop := make(chan struct{})
			go drip(c, stop)
			ended <- endOf(c)
			close(stop)
		}()
	}
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	talk(t, p, v.addr) // others are served meanwhile
	deadline := time.After(slowTime)
	for i := range attackers {
		select {
		case <-ended:
		case <-deadline:
			t.Fatalf("after %s: %d of %d slow clients are still connected, want none", slowTime, attackers-i, attackers)
		}
	}
}

// drip sends a header field a little at a time.
func drip(c interface{ Write([]byte) (int, error) }, stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := c.Write([]byte(strings.Repeat("x", 1+n%3))); err != nil {
				return
			}
		}
	}
}
