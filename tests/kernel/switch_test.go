package kernel

import (
	"testing"

	"vdi-gateway/tests/node"
)

// Sessions keep the way of forwarding under which they began, however often it changes.
func TestForwardingChangesUnderLoad(t *testing.T) {
	parallel(t)
	if forwarding() != "kernel" {
		t.Skip("there is nothing to change")
	}
	for name, s := range map[string]shape{"two networks": {nodes: 2, forwarding: "proxy"}, "one network": {nodes: 2, flat: true, forwarding: "proxy"}} {
		t.Run(name, func(t *testing.T) {
			parallel(t)
			if !full && s.flat {
				t.Skip("in the full matrix")
			}
			switched(newRig(t, s))
		})
	}
}

func switched(r *rig) {
	r.t.Helper()
	c := r.crowd(many / 4)
	c.frail = true // with the relay again nothing is carried on by another node
	c.goOn("proxy")
	change := func(forwarding string) {
		r.t.Helper()
		over := node.Settings{"forwarding": forwarding}
		if !r.shape.flat {
			over["inside_addr"] = r.within.String() // new at first, and the way back leaves it
		}
		_, err := r.nodes[0].api.Change(soon(r.t), over)
		r.try(err)
		c.goOn("changed to " + forwarding)
	}
	for range 2 {
		change("kernel")
		carried := len(c.all)
		c.grow(many / 4)
		for _, s := range c.all[carried:] {
			if s.relayed {
				r.t.Errorf("%s: the VM sees %s, want the address of the data path", s, s.vm.conn.RemoteAddr())
			}
		}
		c.goOn("kernel")
		change("proxy")
		relayed := len(c.all)
		c.grow(many / 4)
		for _, s := range c.all[relayed:] {
			if !s.relayed {
				r.t.Errorf("%s: the VM sees %s, want a node", s, s.vm.conn.RemoteAddr())
			}
		}
		c.goOn("proxy again")
	}
	c.pauses("all the time")
	c.finish()
	c.once()
}
