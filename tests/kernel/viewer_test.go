package kernel

import (
	"net/netip"
	"testing"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// A real viewer of a real desktop among the sessions of a node that loses power: its window
// goes on.
func TestAViewersWindowGoesOn(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	a, b := r.nodes[0], r.nodes[1]
	vm := r.vms[0]
	d := xvnc.StartDesktop(t, vm.Do, netip.AddrPortFrom(vm.addr.Addr(), desktopPort), 24, "-SecurityTypes", "None")
	tunnel, err := r.front(r.clients.Addr()).Open(soon(t), node.OpenRequest{
		VMAddress: d.Addr.Addr().String(), VMPort: int(d.Addr.Port()), Protocol: "vnc",
	})
	r.try(err)
	screen := xvnc.StartScreen(t, r.clients.Do)
	viewer := screen.View(t, xvnc.Login{Server: tunnel.Addr()})
	shows := func(what string) {
		t.Helper()
		xvnc.Eventually(t, what, func() bool { return screen.Shows(t, d.Size, xvnc.Exact) })
	}
	shows("the viewer shows what was drawn")
	c := r.crowd(5 * int(manners))
	for i, tr := range []trouble{{name: "power-off", does: powerOff}, {name: "cut", does: cutOff}} {
		from, to := a, b
		if i == 1 {
			from, to = b, a
		}
		undo := tr.does(from)
		r.takes(to)
		d.Paint(t, "#112233", "#445566")
		xvnc.Eventually(t, "the viewer shows another picture", func() bool { return !screen.Shows(t, d.Size, xvnc.Exact) })
		d.Paint(t, "#ff8040", "#0040c0")
		shows(tr.name + ": the viewer shows what was drawn last")
		c.goOn(tr.name)
		undo()
		r.serves(to)
	}
	select {
	case <-viewer.Ended():
		t.Error("the viewer has ended")
	default:
	}
	c.finish()
}
