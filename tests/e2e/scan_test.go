package e2e

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

func TestStrangersFindNothing(t *testing.T) {
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	c, _ := talk(t, p, v.addr)
	waiting := open(t, p.node.Client(p.client), v.addr) // granted, not yet used
	arrived, err := arrivals(t, p.vmHost)
	if err != nil {
		t.Fatal(err)
	}
	before, accepted := arrived(), v.accepted.Load()
	for _, tt := range []struct {
		name string
		host *lab.Host
		from netip.Addr
	}{
		{"another host", p.stranger, netip.Addr{}},
		{"another address of the client's host", p.client, addrOf(secondAddr)},
		{"the VM itself", p.vmHost, netip.Addr{}},
	} {
		if open := scan(tt.host, tt.from, p.gate.Addr()); len(open) > 0 {
			t.Errorf("%s: got ports %v open, want none", tt.name, open)
		}
	}
	if got := v.accepted.Load(); got != accepted {
		t.Errorf("connections at the VM: got %d more, want none", got-accepted)
	}
	if got := arrived(); got != before {
		t.Errorf("packets at the VM: got %d more, want none", got-before)
	}
	if err := echoes(c); err != nil {
		t.Errorf("the session: got %v, want it to go on", err)
	}
	if err := echoes(enter(t, p.client, waiting)); err != nil {
		t.Errorf("the waiting grant: got %v, want it usable", err)
	}
}

// arrivals counts the packets of connections that come from the node.
func arrivals(t *testing.T, h *lab.Host) (func() int, error) {
	t.Helper()
	need(t, "nft")
	counter, err := h.Count("ip saddr " + gateAddr + " tcp dport 7000")
	return func() int {
		t.Helper()
		n, err := counter.Packets()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}, err
}

// scanTime is how long a port may take to answer; on one machine it takes
// microseconds.
const scanTime = 500 * time.Millisecond

// scan knocks at every port of the range, on all of them at once, and returns
// what was open.
func scan(h *lab.Host, from, gate netip.Addr) (open []string) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for port := uint16(node.PortStart); port <= node.PortStop; port++ {
		all.Go(func() {
			c, err := h.Dial(from, netip.AddrPortFrom(gate, port), scanTime)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			// A connection that is reset before it carried a byte is as
			// good as none.
			_ = c.SetDeadline(time.Now().Add(scanTime))
			if echoes(c) == nil {
				mu.Lock()
				defer mu.Unlock()
				open = append(open, fmt.Sprint(port))
			}
		})
	}
	all.Wait()
	return open
}
