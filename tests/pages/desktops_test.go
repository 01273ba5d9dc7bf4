package pages

import (
	"bytes"
	"image"
	"image/color"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"vdi-gateway/tests/browser"
	"vdi-gateway/tests/xvnc"
)

// vmPassword is what no browser may learn. VncAuth looks at its first eight bytes.
const vmPassword = "q7ZrQuLp-and-more"

// entry is how the gateway enters a VM.
type entry struct {
	name   string
	ticket map[string]any
	tiger  []string // arguments of Xtigervnc
	qemu   string   // option -vnc of QEMU
	object []string // further ones
}

func entries(t *testing.T) []entry {
	t.Helper()
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	cert := ca.Valid(t, "vm17.example")
	dir := ca.Store(t, cert)
	password := map[string]any{"vm_password": vmPassword}
	trusting := map[string]any{"vm_tls": map[string]any{"ca_pem": ca.PEM, "server_name": "vm17.example"}}
	maps.Copy(trusting, password)
	tls := []string{"-object", "tls-creds-x509,id=tls,endpoint=server,verify-peer=off,dir=" + dir}
	return []entry{
		{"None", nil, []string{"-SecurityTypes", "None"}, "", nil},
		{"VncAuth", password, append(xvnc.Password(t, vmPassword), "-SecurityTypes", "VncAuth"), ",password=on", nil},
		{
			"X509Vnc", trusting, append(append(xvnc.Password(t, vmPassword), xvnc.Certificate(dir)...), "-SecurityTypes", "X509Vnc"),
			",password=on,tls-creds=tls", tls,
		},
	}
}

// TestXtigervnc is seen to the last pixel, typed on and clicked, however it is entered.
func TestXtigervnc(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	for i, e := range entries(t) {
		t.Run(e.name, func(t *testing.T) {
			d := xvnc.StartDesktop(t, r.vms.Do, netip.AddrPortFrom(r.vms.Addr(), vmPort+uint16(i)), 24, e.tiger...)
			b := r.browse(t)
			b.Record()
			l := r.link(t, d.Addr, e.ticket)
			opens(t, b, l.ConsoleURL)
			xvnc.WantPattern(t, picture(t, b), d.Size, xvnc.Exact)
			events := d.Events(t)
			xvnc.Eventually(t, "xev has its window", func() bool { return strings.Contains(events.Output(), "MapNotify") })
			acts(t, b, "aZ")
			for _, words := range []string{"ButtonPress", "(keysym 0x61, a)", "(keysym 0x5a, Z)"} {
				xvnc.Eventually(t, "xev sees "+words, func() bool { return strings.Contains(events.Output(), words) })
			}
			uncomplaining(t, l.ConsoleURL, b)
			keepsOut(t, b)
		})
	}
}

// TestQEMU shows its monitor on the screen, which writes what is typed.
func TestQEMU(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	for _, e := range entries(t) {
		t.Run(e.name, func(t *testing.T) {
			password := ""
			if e.ticket != nil {
				password = vmPassword
			}
			vm := xvnc.StartQEMU(t, r.vms.Do, r.vms.Addr(), password, e.qemu, append([]string{"-monitor", "vc"}, e.object...)...)
			b := r.browse(t)
			b.Record()
			l := r.link(t, vm, e.ticket)
			opens(t, b, l.ConsoleURL)
			xvnc.Eventually(t, "the monitor's first words", func() bool { return written(t, b) > 200 })
			before := written(t, b)
			b.Shot(t, "qemu-"+e.name)
			acts(t, b, "info version\r")
			xvnc.Eventually(t, "the monitor's answer", func() bool { return written(t, b) > before+200 })
			uncomplaining(t, l.ConsoleURL, b)
			keepsOut(t, b)
		})
	}
}

// QEMU's text: grey on black, below a title on blue.
const titleHeight = 16

// written counts the pixels of QEMU's text, and looks that there is nothing else.
func written(t *testing.T, b *browser.Browser) int {
	t.Helper()
	img := picture(t, b)
	blue, seen := 0, map[color.RGBA]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA); y >= titleHeight {
				seen[c]++
			} else if c == (color.RGBA{0, 0, 0xaa, 0xff}) {
				blue++
			}
		}
	}
	grey, black := seen[color.RGBA{0xaa, 0xaa, 0xaa, 0xff}], seen[color.RGBA{0, 0, 0, 0xff}]
	if total := img.Bounds().Dx() * (img.Bounds().Dy() - titleHeight); blue < 1000 || grey+black != total {
		t.Errorf("got %d blue, %d grey and %d black pixels of %d, want QEMU's text and nothing else", blue, grey, black, total)
	}
	return grey
}

// TestTheSampleDesktop writes what is typed, in the picture that the page shows.
func TestTheSampleDesktop(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, nil)
	l, b := r.link(t, r.sample(t, vmPort), nil), r.browse(t)
	opens(t, b, l.ConsoleURL)
	if got, want := picture(t, b).Bounds(), image.Rect(0, 0, 640, 480); got != want {
		t.Errorf("got a desktop of %v, want %v", got, want)
	}
	before := picture(t, b)
	acts(t, b, "hello")
	xvnc.Eventually(t, "what was typed is seen", func() bool { return differing(before, picture(t, b)) > 100 })
	if got := b.Eval(t, "document.title"); got != "a desktop" {
		t.Errorf("got the title %q, want the VM's id", got)
	}
	uncomplaining(t, l.ConsoleURL, b)
}

// differing counts the pixels of the upper left quarter, which has the text, that are not
// the same.
func differing(a, b image.Image) (n int) {
	for y := range a.Bounds().Dy() / 2 {
		for x := range a.Bounds().Dx() / 2 {
			if a.At(x, y) != b.At(x, y) {
				n++
			}
		}
	}
	return n
}

// keepsOut looks for the VM's password in all that the browser sent and got.
func keepsOut(t *testing.T, b *browser.Browser) {
	t.Helper()
	text := b.Traffic(t)
	// None is all that is asked of the page.
	for _, there := range []string{"RFB 003.008\nRFB 003.008\n\x01\x01\x01", "vdi-console-", `"resume":"`} {
		if !bytes.Contains(text, []byte(there)) {
			t.Errorf("%q is not in the %d bytes of traffic that were recorded", there, len(text))
		}
	}
	if bytes.Contains(text, []byte(vmPassword[:8])) {
		t.Error("the browser got the password")
	}
}
