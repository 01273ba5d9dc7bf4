package cluster

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// use connects to a tunnel and says something.
func (r *rig) use(from netip.Addr, tunnel node.Tunnel) error {
	conn, err := r.client.Dial(from, tunnel.Addr(), patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	return echoes(conn)
}

// openAndUse opens a tunnel from one address, uses it at once and gives it back.
func (r *rig) openAndUse(t *testing.T, c *node.Client, from netip.Addr) (owner string, err error) {
	t.Helper()
	tunnel, err := c.Open(soon(t), r.request())
	if err != nil {
		return "", err
	}
	if tunnel.ClientAddr != from.String() {
		return "", errors.New("the tunnel is for " + tunnel.ClientAddr + ", the client is " + from.String())
	}
	if err := r.use(from, tunnel); err != nil {
		return "", err
	}
	return tunnel.Node, c.GiveBack(soon(t), tunnel)
}

func TestOpenThenConnectIsNeverRefused(t *testing.T) {
	const times = 1000
	r := newRig(t, 3, nil)
	var group sync.WaitGroup
	for i, from := range r.client.Addrs() {
		c := r.front(t, from)
		group.Go(func() {
			for k := i; k < times; k += len(r.client.Addrs()) {
				if _, err := r.openAndUse(t, c, from); err != nil {
					t.Errorf("time %d from %s: %v", k, from, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// owned opens tunnels until one is owned by the node.
func (r *rig) owned(t *testing.T, by string) (netip.Addr, node.Tunnel) {
	t.Helper()
	for _, from := range r.client.Addrs() {
		tunnel, err := r.front(t, from).Open(soon(t), r.request())
		if err != nil {
			t.Fatal(err)
		}
		if tunnel.Node == by {
			return from, tunnel
		}
	}
	t.Fatalf("no client has a tunnel on %s", by)
	return netip.Addr{}, node.Tunnel{}
}

func TestAnOwnerThatDiesIsReplaced(t *testing.T) {
	r := newRig(t, 3, node.Settings{"balance": map[string]any{"algorithm": "roundrobin"}})
	from, tunnel := r.owned(t, r.hosts[1].Addr().String())
	conn, err := r.client.Dial(from, tunnel.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := echoes(conn); err != nil {
		t.Fatal(err)
	}
	r.nodes[1].Kill()
	start := time.Now()
	c := r.front(t, from)
	for {
		owner, err := r.openAndUse(t, c, from)
		if err == nil && owner != r.hosts[1].Addr().String() {
			break
		}
		if time.Since(start) > atOnce {
			t.Fatalf("no tunnel %s after its owner died: %v", time.Since(start), err)
		}
	}
	t.Logf("a new tunnel after %s", time.Since(start))
	// The former grant lives as long as it would have: another node serves it.
	for err = errors.New("not tried"); err != nil; {
		if time.Since(start) > atOnce {
			t.Fatalf("%s after its owner died, the grant is served by nobody: %v", time.Since(start), err)
		}
		err = r.use(from, tunnel)
	}
	t.Logf("the grant of the dead owner is served after %s", time.Since(start))
}

func TestAPortIsOpenToItsClientAlone(t *testing.T) {
	r := newRig(t, 3, nil)
	from, other := r.client.Addrs()[0], r.client.Addrs()[1]
	tunnel, err := r.front(t, from).Open(soon(t), r.request())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := r.client.Dial(other, tunnel.Addr(), time.Second); err == nil {
		if err := echoes(c); err == nil {
			t.Error("a stranger's bytes came back from the VM")
		}
		_ = c.Close()
	}
	c, err := r.client.Dial(from, tunnel.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := echoes(c); err != nil {
		t.Error(err)
	}
}
