package cluster

import (
	"net/netip"
	"testing"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

const vmPassword = "q7Zr#uLp"

// startDesk starts a desktop with a password on a host of its own.
func (r *rig) startDesk(t *testing.T) xvnc.Desktop {
	t.Helper()
	h := r.network.Host("desk", "10.99.0.201/24")
	return xvnc.StartDesktop(t, h.Do, netip.AddrPortFrom(h.Addr(), 5901), 24, append(xvnc.Password(t, vmPassword), "-SecurityTypes", "VncAuth")...)
}

// deskAt has a node open a tunnel to a desktop that it enters.
func (r *rig) deskAt(t *testing.T, n *node.Node, d xvnc.Desktop) node.Tunnel {
	t.Helper()
	ticket, err := r.dispatcher(t).Ticket(soon(t), map[string]any{
		"vm_address": d.Addr.Addr().String(), "vm_port": d.Addr.Port(), "vm_password": vmPassword,
	})
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := n.Client(r.client, r.client.Addr()).Open(soon(t), node.OpenRequest{Ticket: ticket})
	if err != nil {
		t.Fatal(err)
	}
	if tunnel.Node != n.Host.Addr().String() || tunnel.Address != r.virtual.String() {
		t.Fatalf("got a tunnel of %s at %s, want one of %s at the virtual address", tunnel.Node, tunnel.Address, n.Host.Addr())
	}
	return tunnel
}

func (r *rig) capture(t *testing.T, tunnel node.Tunnel) error {
	t.Helper()
	_, _, err := xvnc.TryCapture(t, r.client.Do, xvnc.Login{Server: tunnel.Addr(), Password: tunnel.Password})
	return err
}

// A viewer comes to the node with the virtual address, which brings it to the owner of its
// tunnel, and that one to the desktop.
func TestAViewerComesToAnotherNode(t *testing.T) {
	r := newRig(t, 3, nil)
	d := r.startDesk(t)
	tunnel := r.deskAt(t, r.nodes[1], d)
	xvnc.WantPattern(t, xvnc.Capture(t, r.client.Do, xvnc.Login{Server: tunnel.Addr(), Password: tunnel.Password}), d.Size, xvnc.Exact)
	if err := r.capture(t, tunnel); err == nil {
		t.Error("a password was taken twice")
	}
}

// The heir of a node that died knows how its VMs are entered, the passwords of its viewers,
// and which of those were used.
func TestTheViewersOfADeadNode(t *testing.T) {
	r := newRig(t, 3, nil)
	d := r.startDesk(t)
	used, fresh := r.deskAt(t, r.nodes[1], d), r.deskAt(t, r.nodes[1], d)
	if err := r.capture(t, used); err != nil {
		t.Fatal(err)
	}
	r.nodes[1].Kill()
	eventually(t, "another node serves the viewer", func() bool { return r.capture(t, fresh) == nil })
	for range 3 {
		if err := r.capture(t, used); err == nil {
			t.Error("a password that was used at the node that died is good once more")
		}
	}
	if err := r.capture(t, fresh); err == nil {
		t.Error("a password was taken twice")
	}
}
