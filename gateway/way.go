package gateway

import (
	"net/netip"
	"slices"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
)

// way is how a client comes from its port to its VM: through the kernel to vm or,
// where that is invalid, through a listening socket and the relay. The zero value is
// none.
type way struct {
	slot
	vm    netip.AddrPort
	limit int // connections at a time that the kernel lets through; 0: any number
}

func (w way) steered() bool { return w.vm.IsValid() }

func (w way) grant() kernel.Grant {
	return kernel.Grant{Client: w.client, Port: w.port, VM: w.vm, Limit: w.limit}
}

// steersman is the kernel as ports need it: what is allowed or forbidden is so when
// Settle has returned.
type steersman interface {
	Allow(grants ...kernel.Grant) error
	Forbid(why relay.Reason, grants ...kernel.Grant)
	Settle() error
}

// ways are all of each slot, the newest last, which is the one that counts: for a
// moment a slot may have the way of a grant that ends and that of the next one.
type ways map[slot][]way

// add tells whether the way that counts has changed.
func (ws ways) add(w way) bool {
	list := ws[w.slot]
	ws[w.slot] = append(list, w)
	return len(list) == 0 || list[len(list)-1] != w
}

// remove tells what counts from now on, and whether that is another way than before.
func (ws ways) remove(w way) (now way, changed bool) {
	list := ws[w.slot]
	i := slices.Index(list, w)
	if i < 0 {
		return way{}, false
	}
	was := list[len(list)-1]
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(ws, w.slot)
		return way{}, true
	}
	ws[w.slot] = list
	now = list[len(list)-1]
	return now, now != was
}

// wayOf is how the client of gr shall come to its VM. The caller holds the lock.
func (g *Gateway) wayOf(gr *grant) way {
	w := way{slot: slot{gr.client, gr.port}}
	if !g.steering || !gr.steered {
		return w
	}
	w.vm, _ = gr.target.straight(gr.client)
	if gr.limit <= rules.MaxLimit { // beyond that the gateway alone counts
		w.limit = gr.limit
	}
	return w
}

// steerable tells whether the kernel can bring the client of gr to its VM. What needs
// the gateway to speak cannot be, nor the connections of nodes themselves, which do not
// pass where the kernel would steer them.
func (g *Gateway) steerable(gr *grant) bool {
	_, straight := gr.target.straight(gr.client)
	own := gr.client.IsLoopback() || gr.client == g.cfg.Node || slices.Contains(g.cfg.Nodes, gr.client)
	return g.steering && gr.mode == ModePort && !gr.desktop.entered() && straight && !own
}

// straight is the VM's address of the client's family. Where there are several, one
// after the other has to be tried: only the relay can.
func (t target) straight(client netip.Addr) (vm netip.AddrPort, ok bool) {
	for _, a := range t.addrs {
		if a.Addr().Is4() != client.Is4() {
			continue
		}
		if ok {
			return netip.AddrPort{}, false
		}
		vm, ok = a, true
	}
	return vm, ok
}
