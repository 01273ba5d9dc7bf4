package kernel

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

const (
	echoPort    = 7001
	desktopPort = 5901
	vmPassword  = "q7Zr#uLp"
)

// echoes has a host of VMs echo what it gets after the address from which it came.
func (r *rig) echoes(v *vmHost, at netip.Addr) netip.AddrPort {
	r.t.Helper()
	addr := netip.AddrPortFrom(at, echoPort)
	l, err := v.Listen(addr.String())
	r.try(err)
	r.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "%s\n", c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap())
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return addr
}

// talk asks for an echo, and tells which address the VM saw.
func talk(c net.Conn) (seen netip.Addr, err error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	line := make([]byte, 0, 64)
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b...) {
		if _, err := io.ReadFull(c, b); err != nil {
			return netip.Addr{}, err
		}
	}
	if seen, err = netip.ParseAddr(string(bytes.TrimSpace(line))); err != nil {
		return seen, err
	}
	want := noise[:5000]
	if _, err := c.Write(want); err != nil {
		return seen, err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return seen, err
	}
	if !bytes.Equal(got, want) {
		return seen, fmt.Errorf("got other bytes back than were sent")
	}
	return seen, nil
}

// What the kernel cannot carry is relayed by the daemon, before and after a failover.
func TestWhatTheKernelCannotCarryIsRelayed(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	four := r.echoes(r.vms[0], r.vms[0].addr.Addr())
	six := r.echoes(r.vms[0], r.vms[0].Addr6())
	d := xvnc.StartDesktop(t, r.vms[1].Do, netip.AddrPortFrom(r.vms[1].addr.Addr(), desktopPort), 24,
		append(xvnc.Password(t, vmPassword), "-SecurityTypes", "VncAuth")...)
	c := r.crowd(int(manners))
	for range 2 {
		r.carries(four, r.within)
		r.relays(six)
		r.relaysWebSockets(four)
		r.entersDesktop(d)
		c.goOn("beside what is relayed")
		from, to := r.nodes[0], r.nodes[1]
		if from.health().Role == "active" {
			from.failover()
			r.serves(to)
		}
	}
	c.goOn("at the second node")
	c.finish()
}

// carries wants a tunnel to be steered: the VM sees the address of the data path.
func (r *rig) carries(vm netip.AddrPort, want netip.Addr) {
	r.t.Helper()
	if seen, err := r.throughPort(vm); err != nil || seen != want && forwarding() == "kernel" {
		r.t.Errorf("a tunnel to %s: the VM saw %s, error %v, want it to see %s", vm, seen, err, want)
	}
}

// relays wants a tunnel to go through the daemon: the VM sees a node.
func (r *rig) relays(vm netip.AddrPort) {
	r.t.Helper()
	if seen, err := r.throughPort(vm); err != nil || !r.isNode(seen) {
		r.t.Errorf("a tunnel to %s: the VM saw %s, error %v, want it to see a node", vm, seen, err)
	}
}

func (r *rig) throughPort(vm netip.AddrPort) (seen netip.Addr, err error) {
	from := r.people[0]
	tunnel, err := r.front(from).Open(soon(r.t), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: int(vm.Port()), Probe: true})
	if err != nil {
		return seen, err
	}
	conn, err := r.clients.Dial(from, tunnel.Addr(), patience)
	if err != nil {
		return seen, err
	}
	defer conn.Close()
	return talk(conn)
}

// isNode tells whether an address is a node's own.
func (r *rig) isNode(a netip.Addr) bool {
	for _, m := range r.nodes {
		for _, own := range append(m.host.Addrs(), m.leg.Addrs()...) {
			if own == a {
				return true
			}
		}
	}
	return false
}

func (r *rig) relaysWebSockets(vm netip.AddrPort) {
	r.t.Helper()
	from := r.people[0]
	tunnel, err := r.front(from).Open(soon(r.t), node.OpenRequest{VMAddress: vm.Addr().String(), VMPort: int(vm.Port()), Mode: "websocket"})
	r.try(err)
	client := &http.Client{Transport: &http.Transport{DialContext: r.clients.DialContext, DisableKeepAlives: true}}
	ws, _, err := websocket.Dial(soon(r.t), "ws://"+r.api().String()+"/v3/connect/?token="+tunnel.Token, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		r.t.Errorf("a WebSocket: %v", err)
		return
	}
	defer func() { _ = ws.CloseNow() }()
	if seen, err := talk(websocket.NetConn(soon(r.t), ws, websocket.MessageBinary)); err != nil || !r.isNode(seen) {
		r.t.Errorf("a WebSocket: the VM saw %s, error %v, want it to see a node", seen, err)
	}
}

// entersDesktop wants the gateway to enter the desktop itself.
func (r *rig) entersDesktop(d xvnc.Desktop) {
	r.t.Helper()
	tunnel, err := r.front(r.people[0]).Open(soon(r.t), node.OpenRequest{
		VMAddress: d.Addr.Addr().String(), VMPort: int(d.Addr.Port()), VMPassword: vmPassword, Protocol: "vnc",
	})
	r.try(err)
	img := xvnc.Capture(r.t, r.clients.Do, xvnc.Login{Server: tunnel.Addr(), Password: tunnel.Password})
	xvnc.WantPattern(r.t, img, d.Size, xvnc.Exact)
}
