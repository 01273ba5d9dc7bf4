package cluster

import (
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// Two halves that cannot hear each other go on; afterwards nothing is lost that
// either acknowledged.
func TestADividedClusterLosesNothing(t *testing.T) {
	r := newRig(t, 3, nil)
	if err := r.hosts[2].Unplug(); err != nil {
		t.Fatal(err)
	}
	d := r.dispatcher(t)
	eventually(t, "the halves know", func() bool { return alive(t, d) == 2 })
	var tunnels []node.Tunnel
	var clients []netip.Addr
	for _, from := range r.client.Addrs() { // at the side of the clients
		tunnel, err := r.front(t, from).Open(soon(t), r.request())
		if err != nil {
			t.Fatal(err)
		}
		tunnels, clients = append(tunnels, tunnel), append(clients, from)
	}
	neighbour := netip.MustParseAddr("10.99.0.170") // a client on the other
	if err := r.hosts[2].Take(neighbour); err != nil {
		t.Fatal(err)
	}
	lonely := r.nodes[2].Client(r.hosts[2], neighbour)
	request := r.request()
	request.TTLS = 120
	request.Probe = false
	own, err := lonely.Open(soon(t), request)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.hosts[2].Plug(); err != nil {
		t.Fatal(err)
	}
	r.together(t)
	for i, tunnel := range tunnels {
		if err := r.use(clients[i], tunnel); err != nil {
			t.Errorf("opened by the first half for %s: %v", clients[i], err)
		}
	}
	// That of the other half is known to the first: its client comes through.
	eventually(t, "the virtual address serves the other half's grant", func() bool {
		c, err := r.hosts[2].Dial(neighbour, own.Addr(), time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		return echoes(c) == nil
	})
}
