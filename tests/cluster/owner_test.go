package cluster

import (
	"slices"
	"testing"

	"vdi-gateway/tests/node"
)

// servedBy is the node that serves a tunnel whose client came to the virtual address: who
// opened it or, where the kernel moves the bytes, who has that address.
func (r *rig) servedBy(t *testing.T, tunnel node.Tunnel) string {
	t.Helper()
	if !node.Kernel() {
		return tunnel.Node
	}
	return r.active(t)
}

// active is the node that has the virtual address now. On a busy machine another one than
// in the beginning may have taken it over.
func (r *rig) active(t *testing.T) string {
	t.Helper()
	for i, n := range r.nodes {
		var h struct {
			VirtualAddr struct{ Held bool } `json:"virtual_addr"`
		}
		d := n.Dispatcher()
		err := d.Call(soon(t), "GET", "/v3/health/", nil, &h)
		d.Close()
		if err == nil && h.VirtualAddr.Held { // a node that is dead says nothing
			return r.hosts[i].Addr().String()
		}
	}
	return "nobody"
}

// wantServed wants a tunnel, alone of all, served by who has to serve it. The kernel's word
// that a client came takes a moment, in which the opener says that it serves the tunnel.
func (r *rig) wantServed(t *testing.T, dispatcher *caller, tunnel node.Tunnel) {
	t.Helper()
	var list struct{ Connections []node.Connection }
	right := func() bool {
		dispatcher.must("GET", "/v3/get_connections/?scope=cluster", nil, &list)
		return len(list.Connections) == 1 && list.Connections[0].ID == tunnel.ID && list.Connections[0].Node == r.servedBy(t, tunnel)
	}
	if node.Kernel() {
		eventually(t, "the node with the virtual address serves the tunnel", right)
	} else if !right() {
		t.Errorf("got %+v, want %s of %s alone", list.Connections, tunnel.ID, tunnel.Node)
	}
}

// wantAllServed wants as many sessions in use at the node that has to serve them all.
func (r *rig) wantAllServed(t *testing.T, sessions int) {
	t.Helper()
	d := r.dispatcher(t)
	eventually(t, "the node with the virtual address serves all", func() bool {
		var list struct{ Connections []node.Connection }
		if err := d.Call(soon(t), "GET", "/v3/get_connections/?scope=cluster&limit=1000", nil, &list); err != nil {
			t.Fatal(err)
		}
		active := r.active(t)
		return len(list.Connections) == sessions && !slices.ContainsFunc(list.Connections, func(c node.Connection) bool {
			return c.Node != active || c.State != "active"
		})
	})
}
