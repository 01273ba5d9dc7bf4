package viewers

import (
	"fmt"
	"image"
	"net/netip"
	"slices"
	"testing"

	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// vm is a real VNC server and how the gateway enters it.
type vm struct {
	name   string
	addr   netip.AddrPort
	ticket map[string]any
	want   func(*testing.T, image.Image) // compares what is seen
	size   image.Point                   // of the pattern; zero: it shows something else
}

// tigers are the servers of TigerVNC.
func (r *rig) tigers(t *testing.T) (all []vm) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	certificate := xvnc.Certificate(ca.Store(t, ca.Valid(t, "vm17.example")))
	password := xvnc.Password(t, vmPassword)
	for i, v := range []struct {
		name   string
		args   []string
		ticket map[string]any
	}{
		{"Xtigervnc, None", []string{"-SecurityTypes", "None"}, map[string]any{"vm_password": "not needed"}},
		{"Xtigervnc, VncAuth", append(password, "-SecurityTypes", "VncAuth"), entered()},
		{"Xtigervnc, X509Vnc", append(append(password, certificate...), "-SecurityTypes", "X509Vnc"), map[string]any{
			"vm_password": vmPassword, "vm_tls": map[string]any{"ca_pem": ca.PEM, "server_name": "vm17.example"},
		}},
		{"Xtigervnc, its default", password, entered()},
	} {
		d := xvnc.StartDesktop(t, r.vms.Do, netip.AddrPortFrom(r.vms.Addr(), uint16(5901+i)), 24, v.args...)
		all = append(all, vm{v.name, d.Addr, v.ticket, func(t *testing.T, img image.Image) {
			t.Helper()
			xvnc.WantPattern(t, img, d.Size, xvnc.Exact)
		}, d.Size})
	}
	return all
}

// locked is a desktop with vmPassword.
func (r *rig) locked(t *testing.T, args ...string) xvnc.Desktop {
	t.Helper()
	args = slices.Concat(xvnc.Password(t, vmPassword), []string{"-SecurityTypes", "VncAuth"}, args)
	return xvnc.StartDesktop(t, r.vms.Do, netip.AddrPortFrom(r.vms.Addr(), 5901), 24, args...)
}

// entered is how a ticket says so.
func entered() map[string]any { return map[string]any{"vm_password": vmPassword} }

// qemus are those of QEMU. Before a machine has a picture it shows a text, the same one.
func (r *rig) qemus(t *testing.T) (all []vm) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	creds := "tls-creds-x509,id=tls0,endpoint=server,verify-peer=off,dir=" + ca.Store(t, ca.Valid(t, r.vms.Addr().String()))
	short := vmPassword[:8] // QEMU refuses to look at a part
	plain := xvnc.StartQEMU(t, r.vms.Do, r.vms.Addr(), "", "")
	text := xvnc.Capture(t, r.vms.Do, xvnc.Login{Server: plain})
	if blank(text) {
		t.Fatal("QEMU shows nothing that could be compared")
	}
	want := func(t *testing.T, img image.Image) {
		t.Helper()
		if !same(img, text) {
			t.Error("the picture is not what QEMU shows without the gateway")
		}
	}
	return []vm{
		{"QEMU, None", plain, map[string]any{"vm_password": "not needed"}, want, image.Point{}},
		{
			"QEMU, VncAuth", xvnc.StartQEMU(t, r.vms.Do, r.vms.Addr(), short, ",password=on"),
			entered(), want,
			image.Point{},
		},
		{
			"QEMU, X509Vnc", xvnc.StartQEMU(t, r.vms.Do, r.vms.Addr(), short, ",password=on,tls-creds=tls0", "-object", creds),
			map[string]any{"vm_password": vmPassword, "vm_tls": map[string]any{"ca_pem": ca.PEM}},
			want,
			image.Point{},
		},
	}
}

func blank(img image.Image) bool {
	return same(img, image.NewUniform(img.At(img.Bounds().Min.X, img.Bounds().Min.Y)))
}

func same(a, b image.Image) bool {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if fmt.Sprint(a.At(x, y)) != fmt.Sprint(b.At(x, y)) {
				return false
			}
		}
	}
	return true
}

func TestEveryDesktopIsSeen(t *testing.T) {
	for name, ssl := range map[string]bool{"without ssl": false, "with ssl": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ssl)
			for i, v := range append(r.tigers(t), r.qemus(t)...) {
				t.Run(v.name, func(t *testing.T) {
					v.want(t, xvnc.Capture(t, r.client.Do, r.best(r.open(t, v.addr, v.ticket))))
					if v.size != (image.Point{}) && (full || i == 0) {
						r.view(t, v, r.best)
					}
				})
			}
		})
	}
}

// view looks with TigerVNC's viewer.
func (r *rig) view(t *testing.T, v vm, login func(node.Tunnel) xvnc.Login, args ...string) {
	t.Helper()
	screen := xvnc.StartScreen(t, r.client.Do)
	viewer := screen.View(t, login(r.open(t, v.addr, v.ticket)), args...)
	xvnc.Eventually(t, "the viewer shows what was drawn", func() bool { return screen.Shows(t, v.size, xvnc.Exact) })
	viewer.Stop()
}

// A viewer that cannot say a user's name takes the password of one use, encrypted.
func TestThePasswordOfOneUseBehindTLS(t *testing.T) {
	r := newRig(t, true)
	d := r.locked(t)
	v := vm{addr: d.Addr, ticket: entered(), size: d.Size}
	r.view(t, v, r.once, "-SecurityTypes", "X509Vnc")
	r.journal(t, "session closed", "client_closed")
}

// open_connection takes the VM's password as well, where the settings let clients ask for
// themselves.
func TestAClientThatKnowsTheVMsPassword(t *testing.T) {
	r := newRig(t, false)
	d := r.locked(t)
	tunnel := r.request(t, node.OpenRequest{VMAddress: d.Addr.Addr().String(), VMPort: int(d.Addr.Port()), VMPassword: vmPassword, Probe: true})
	xvnc.WantPattern(t, xvnc.Capture(t, r.client.Do, r.once(tunnel)), d.Size, xvnc.Exact)
}
