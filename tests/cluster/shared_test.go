package cluster

import (
	"slices"
	"sync"
	"testing"

	"vdi-gateway/tests/node"
)

// ticketFor has a node make a ticket for the VM.
func (r *rig) ticketFor(t *testing.T, d *node.Client) string {
	t.Helper()
	var got struct{ Ticket string }
	err := d.Call(soon(t), "POST", "/v3/tickets/", map[string]any{
		"vm_address": r.vm.Addr().String(), "vm_port": r.vm.Port(), "user": "ada",
	}, &got)
	if err != nil {
		t.Fatal(err)
	}
	return got.Ticket
}

// TestATicketIsUsedOnce: whichever nodes it is brought to at the same moment.
func TestATicketIsUsedOnce(t *testing.T) {
	r := newRig(t, 3, nil)
	from := r.client.Addrs()[0]
	for round := range 20 {
		ticket := r.ticketFor(t, r.nodes[round%3].Dispatcher())
		var mu sync.Mutex
		var codes []string
		var group sync.WaitGroup
		for _, n := range r.nodes {
			group.Go(func() {
				c := n.Client(r.client, from)
				defer c.Close()
				_, err := c.Open(soon(t), node.OpenRequest{Ticket: ticket})
				mu.Lock()
				defer mu.Unlock()
				if err != nil && node.Code(err) == "" {
					t.Error(err)
				}
				codes = append(codes, node.Code(err))
			})
		}
		group.Wait()
		slices.Sort(codes)
		if want := []string{"", "GRANT_USED", "GRANT_USED"}; !slices.Equal(codes, want) {
			t.Errorf("round %d: got %q, want %q", round, codes, want)
		}
	}
}

// The ticket of a node that died is good, once; and so it stays when that node is
// back.
func TestTheTicketOfADeadNode(t *testing.T) {
	r := newRig(t, 3, nil)
	ticket := r.ticketFor(t, r.nodes[1].Dispatcher())
	r.nodes[1].Kill()
	from := r.client.Addrs()[0]
	if _, err := r.nodes[0].Client(r.client, from).Open(soon(t), node.OpenRequest{Ticket: ticket}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.nodes[2].Client(r.client, from).Open(soon(t), node.OpenRequest{Ticket: ticket}); node.Code(err) != "GRANT_USED" {
		t.Errorf("at another node: got %v, want GRANT_USED", err)
	}
	r.start(t, 1)
	if _, err := r.nodes[1].Client(r.client, from).Open(soon(t), node.OpenRequest{Ticket: ticket}); node.Code(err) != "GRANT_USED" {
		t.Errorf("at the node that made it: got %v, want GRANT_USED", err)
	}
}

func TestAnyNodeSpeaksForAll(t *testing.T) {
	r := newRig(t, 3, nil)
	from := r.client.Addrs()[0]
	owners := map[string]bool{}
	for _, n := range r.nodes {
		c := n.Client(r.client, from)
		defer c.Close()
		tunnel, err := c.Open(soon(t), r.request())
		if err != nil {
			t.Fatal(err)
		}
		owners[tunnel.Node] = true
		conn, err := r.client.Dial(from, tunnel.Addr(), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := echoes(conn); err != nil {
			t.Fatal(err)
		}
	}
	d := r.nodes[2].Dispatcher()
	defer d.Close()
	var list struct {
		Total       int
		Connections []node.Connection
	}
	if err := d.Call(soon(t), "GET", "/v3/get_connections/?scope=cluster", nil, &list); err != nil {
		t.Fatal(err)
	}
	if list.Total != 3 || len(list.Connections) != 3 || len(owners) != 3 {
		t.Errorf("got %+v of %v, want a connection of each node", list, owners)
	}
	var ended struct{ Count int }
	if err := d.Call(soon(t), "POST", "/v3/disconnect/", map[string]any{"all": true}, &ended); err != nil || ended.Count != 3 {
		t.Errorf("got %d ended, %v, want 3", ended.Count, err)
	}
	r.drains(t, d)
}

// drains checks that a node can be drained at another one, and gets no clients then.
func (r *rig) drains(t *testing.T, d *node.Client) {
	t.Helper()
	drained := r.hosts[0].Addr().String()
	if err := d.Call(soon(t), "POST", "/v3/drain/", map[string]any{"node": drained, "on": true}, nil); err != nil {
		t.Fatal(err)
	}
	from := r.client.Addrs()[1]
	if _, err := r.nodes[0].Client(r.client, from).Open(soon(t), r.request()); node.Code(err) != "DRAINING" {
		t.Errorf("the drained node itself: got %v, want DRAINING", err)
	}
	eventually(t, "clients of the virtual address go elsewhere", func() bool {
		c := r.front(t, from)
		defer c.Close()
		for range 5 {
			if owner, err := r.openAndUse(t, c, from); err != nil || owner == drained {
				return false
			}
		}
		return true
	})
	if err := d.Call(soon(t), "POST", "/v3/drain/", map[string]any{"node": "10.99.0.77", "on": true}, nil); node.Code(err) != "NOT_FOUND" {
		t.Errorf("a node that is none: got %v, want NOT_FOUND", err)
	}
}
