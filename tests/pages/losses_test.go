package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"vdi-gateway/tests/browser"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// sane is when a desktop has to be back, on a machine that may be busy. How long it takes
// is in the log; the aim is two seconds.
const sane = 10 * time.Second

// shown is what a page shows at the moment, as text that changes with it; "" when it shows
// no living desktop.
const shown = `(c => c && document.body.dataset.at === 'live' ? c.toDataURL() : '')(document.querySelector('#place canvas'))`

// back tells how long it takes from now until the picture moves again. The sample desktop
// has planets that never rest.
func back(t *testing.T, b *browser.Browser) time.Duration {
	t.Helper()
	began, before := time.Now(), b.Eval(t, shown)
	for time.Since(began) < patience {
		if now := b.Eval(t, shown); now != "" && now != before {
			return time.Since(began)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the desktop does not come back: the page is %s, %s", at(t, b), textOf(t, b, "told"))
	return 0
}

// settles waits until the page has heard all there is to hear of a session that has begun:
// also, once, that the gateway answers an empty message.
func settles(t *testing.T, b *browser.Browser) {
	t.Helper()
	back(t, b)
	away(2 * time.Second)
}

// sockets is how many WebSockets the page has opened.
func sockets(b *browser.Browser) (n int) {
	for _, r := range b.Requests() {
		if len(r) > 2 && r[:2] == "ws" {
			n++
		}
	}
	return n
}

// soonBack checks that a desktop comes back, that it is used as before, and reports.
func soonBack(t *testing.T, b *browser.Browser, since time.Time) {
	t.Helper()
	back(t, b)
	took := time.Since(since)
	t.Logf("back after %s", took.Round(10*time.Millisecond))
	if took > sane {
		t.Errorf("the desktop was back after %s, want %s", took, sane)
	}
	before := picture(t, b)
	acts(t, b, "again")
	xvnc.Eventually(t, "what is typed is seen", func() bool { return at(t, b) == "live" && differing(before, picture(t, b)) > 100 })
}

func try(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// away leaves the network as it is for a while; the page has to wait for it.
func away(d time.Duration) { time.Sleep(d) }

// TestTheUsersNetworkFails for a while, silently or so that his system notices.
func TestTheUsersNetworkFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	for _, tt := range []struct {
		name      string
		fail, end func() error
		long      time.Duration
		again     bool // it takes another WebSocket
		full      bool
	}{
		{"silently, for a moment", r.there.Unplug, r.there.Plug, time.Second, false, false},
		{"silently", r.there.Unplug, r.there.Plug, 5 * time.Second, true, false},
		{"the cable is pulled", r.there.Cut, r.there.Mend, 5 * time.Second, true, true},
		{"silently, for long", r.there.Unplug, r.there.Plug, 12 * time.Second, true, true},
	} {
		if tt.full && !full {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			b := r.browse(t)
			opens(t, b, r.link(t, r.sample(t, vmPort), nil).ConsoleURL)
			settles(t, b)
			try(t, tt.fail())
			away(tt.long)
			try(t, tt.end())
			soonBack(t, b, time.Now())
			if got := sockets(b) > 1; got != tt.again {
				t.Errorf("another WebSocket: got %t, want %t", got, tt.again)
			}
		})
	}
}

// TestTheUsersAddressChanges, as when he goes from one network to another.
func TestTheUsersAddressChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	b := r.browse(t)
	opens(t, b, r.link(t, r.sample(t, vmPort), nil).ConsoleURL)
	for i := range 3 {
		settles(t, b)
		began := time.Now()
		onHost(t, r.there, fmt.Sprintf("ip addr flush dev eth0 scope global; ip addr add 10.99.0.%d/24 dev eth0", 11+i))
		soonBack(t, b, began)
	}
}

func onHost(t *testing.T, h *lab.Host, script string) {
	t.Helper()
	if out, err := h.Run(soon(t), exec.CommandContext(t.Context(), "sh", "-ec", script)); err != nil { //nolint:gosec // our own
		t.Fatalf("%s: %v\n%s", h.Name(), err, out)
	}
}

// TestTheNodeOfASessionDies: killed or without power, with the virtual address or without.
func TestTheNodeOfASessionDies(t *testing.T) {
	t.Parallel()
	kill := func(r *rig, i int) error { r.nodes[i].Kill(); return nil }
	powerOff := func(r *rig, i int) error { return errors.Join(r.gates[i].Cut(), r.gates[i].Unplug()) }
	for _, tt := range []struct {
		name   string
		die    func(*rig, int) error
		active bool
		full   bool
	}{
		{"killed, active", kill, true, false},
		{"killed, not active", kill, false, true},
		{"without power, active", powerOff, true, true},
		{"without power, not active", powerOff, false, false},
	} {
		if tt.full && !full {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 3, nil)
			vm, b := r.sample(t, vmPort), r.browse(t)
			i := r.index(healthOf(t, r.nodes[0]).active())
			if !tt.active {
				i = (i + 1) % 3
			}
			r.favour(t, i)
			opens(t, b, r.link(t, vm, nil).ConsoleURL)
			if got := r.carriers(t); len(got) != 1 || got[0] != r.gates[i].Addr().String() {
				t.Fatalf("got the session at %q, want it at %s", got, r.gates[i].Addr())
			}
			settles(t, b)
			began := time.Now()
			try(t, tt.die(r, i))
			soonBack(t, b, began)
			if got := b.Eval(t, "document.title"); got != "a desktop" {
				t.Errorf("got %q, want the same desktop", got)
			}
		})
	}
}

func (r *rig) index(addr netip.Addr) int {
	for i, h := range r.gates {
		if h.Addr() == addr {
			return i
		}
	}
	return -1
}

// favour has the next session be at a node, and lets all of them serve then.
func (r *rig) favour(t *testing.T, i int) {
	t.Helper()
	d := r.dispatcher(t, i)
	for k, h := range r.gates {
		if k != i {
			try(t, d.Call(soon(t), http.MethodPost, "/v3/drain/", map[string]any{"node": h.Addr().String(), "on": true}, nil))
		}
	}
	c := node.ClientAt(netip.MustParseAddrPort(fmt.Sprintf("%s:%d", virtual, frontAPI)), r.there)
	defer c.Close()
	xvnc.Eventually(t, "the user is sent there", func() bool {
		tunnel, err := c.Open(soon(t), node.OpenRequest{VMAddress: r.vms.Addr().String(), VMPort: vmPort})
		if err == nil {
			_ = c.GiveBack(soon(t), tunnel)
		}
		c.Close()
		return tunnel.Node == r.gates[i].Addr().String()
	})
	for k, h := range r.gates {
		if k != i {
			try(t, d.Call(soon(t), http.MethodPost, "/v3/drain/", map[string]any{"node": h.Addr().String(), "on": false}, nil))
		}
	}
}

// carriers are the nodes of all sessions.
func (r *rig) carriers(t *testing.T) (nodes []string) {
	t.Helper()
	var list struct{ Connections []node.Connection }
	try(t, r.dispatcher(t, 0).Call(soon(t), http.MethodGet, "/v3/get_connections/?scope=cluster", nil, &list))
	for _, c := range list.Connections {
		nodes = append(nodes, c.Node)
	}
	return nodes
}
