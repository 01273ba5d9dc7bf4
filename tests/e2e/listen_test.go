package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// listen_ip moves to a link-local address of IPv6, which is nothing without its zone, and
// back again; the commands on the node follow, and sessions stay.
func TestTheAPIMovesToALinkLocalAddress(t *testing.T) {
	if !lab.IPv6() {
		t.Skip("this kernel has no IPv6")
	}
	t.Parallel()
	p := newPlace(t, node.Config{})
	v := serve(t, p.vmHost, vmAddr+":7000", echo)
	session, _ := talk(t, p, v.addr)
	old := netip.AddrPortFrom(p.gate.Addr(), node.APIPort)
	local := netip.AddrPortFrom(linkLocal(t, p.gate).WithZone("eth0"), node.APIPort)

	d := p.node.Dispatcher()
	t.Cleanup(d.Close)
	if _, err := d.Change(t.Context(), node.Settings{"listen_ip": local.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	wantAPI(t, p.client, local)
	wantNobody(t, p.client, old)
	wantNobody(t, p.gate, netip.AddrPortFrom(netip.IPv6Loopback(), node.APIPort))
	status := exec.Command(node.Binary(), "status", "--db", p.node.Path("settings.db"))
	if out, err := p.gate.Run(t.Context(), status); err != nil || !strings.Contains(out, "ok") {
		t.Errorf("status: got %v, %s, want the state of the node", err, out)
	}
	if err := echoes(session); err != nil {
		t.Errorf("the session: got %v, want it to go on", err)
	}

	moved := node.DispatcherAt(numbered(t, p.client, local), p.client)
	t.Cleanup(moved.Close)
	if _, err := moved.Change(t.Context(), node.Settings{"listen_ip": ""}); err != nil {
		t.Fatalf("back: %v", err)
	}
	wantAPI(t, p.client, old)
	wantAPI(t, p.client, local)
	if err := echoes(session); err != nil {
		t.Errorf("the session in the end: got %v, want it to go on", err)
	}
}

// linkLocal is the address that a host's interface has by itself.
func linkLocal(t *testing.T, h *lab.Host) (a netip.Addr) {
	t.Helper()
	err := h.Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		addrs, err := eth0.Addrs()
		for _, one := range addrs {
			if p, bad := netip.ParsePrefix(one.String()); bad == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				a = p.Addr()
			}
		}
		return err
	})
	if err != nil || !a.IsValid() {
		t.Fatalf("the link-local address: got %s, %v", a, err)
	}
	return a
}

// numbered is an address as a host dials it. Go remembers which zone has which number, and
// a process has one network: here the number is that of the host.
func numbered(t *testing.T, h *lab.Host, at netip.AddrPort) netip.AddrPort {
	t.Helper()
	if at.Addr().Zone() == "" {
		return at
	}
	var number int
	err := h.Do(func() error {
		eth0, err := net.InterfaceByName(at.Addr().Zone())
		if err == nil {
			number = eth0.Index
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(at.Addr().WithZone(strconv.Itoa(number)), at.Port())
}

// wantAPI wants the API to answer there.
func wantAPI(t *testing.T, from *lab.Host, at netip.AddrPort) {
	t.Helper()
	c, err := from.Dial(netip.Addr{}, numbered(t, from, at), patience)
	if err != nil {
		t.Errorf("%s: got %v, want the API", at, err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n") // the answer says all
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: got %v, %v, want 200", at, resp, err)
	}
}

// wantNobody wants the former socket to be closed soon: a new one is bound before.
func wantNobody(t *testing.T, from *lab.Host, at netip.AddrPort) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := from.Dial(netip.Addr{}, at, patience)
		if err != nil {
			return
		}
		_ = c.Close()
		if time.Now().After(end) {
			t.Fatalf("%s: somebody answers", at)
		}
	}
}
