package cluster

import (
	"net"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// An office behind one address: its sessions are spread, and each is served. Where the
// kernel moves the bytes there is nothing to spread: the node with the virtual address does.
func TestManySessionsOfOneSource(t *testing.T) {
	const sessions = 300
	r := newRig(t, 3, node.Settings{"port_range_start": 5900, "port_range_stop": 6299})
	time.Sleep(10 * time.Second) // so long nodes that came up are spared
	from := r.client.Addrs()[0]
	c := r.front(t, from)
	owners := map[string]int{}
	var conns []net.Conn
	for range sessions {
		tunnel, err := c.Open(soon(t), r.request())
		if err != nil {
			t.Fatal(err)
		}
		c.Close() // its next call is a connection of its own, as another user's
		conn, err := r.client.Dial(from, tunnel.Addr(), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		owners[tunnel.Node]++
	}
	for _, conn := range conns {
		if err := echoes(conn); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(owners)
	if node.Kernel() {
		r.wantAllServed(t, sessions)
		return
	}
	for _, h := range r.hosts {
		if n := owners[h.Addr().String()]; n < 60 || n > 140 {
			t.Errorf("%s has %d of %d sessions", h.Addr(), n, sessions)
		}
	}
}
