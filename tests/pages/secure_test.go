package pages

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
	"vdi-gateway/tests/xvnc"
)

// certificate is that of a node, which it has made for itself.
func certificate(t *testing.T, n *node.Node) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(n.Path("tls/self-signed.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("got %q, want a certificate", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestByTLS has the console with all that a browser gives a page by TLS, lost and come
// back.
func TestByTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, node.Settings{"ssl": true})
	cert := certificate(t, r.nodes[0])
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	d := r.nodes[0].Dispatcher().Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	t.Cleanup(d.Close)
	pin := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	b := r.browse(t, chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(pin[:])))
	b.Record()
	vm := r.sample(t, vmPort)
	l := linkFrom(t, d, vm, map[string]any{"vm_password": vmPassword})
	if !strings.HasPrefix(l.ConsoleURL, "https://10.99.0.1:8000/") {
		t.Errorf("got %s, want it by TLS", l.ConsoleURL)
	}
	opens(t, b, l.ConsoleURL)
	if got := b.Eval(t, "isSecureContext"); got != "true" {
		t.Error("Chromium does not trust the page")
	}
	settles(t, b)
	before := picture(t, b)
	acts(t, b, "hello")
	xvnc.Eventually(t, "what was typed is seen", func() bool { return differing(before, picture(t, b)) > 100 })
	try(t, r.there.Unplug())
	away(4 * time.Second)
	try(t, r.there.Plug())
	soonBack(t, b, time.Now())
	keepsOut(t, b)
	for _, q := range b.Requests() {
		if strings.HasPrefix(q, "http:") || strings.HasPrefix(q, "ws:") {
			t.Errorf("a request without TLS: %s", q)
		}
	}
}

// The world outside: a router that has the public address and knows the way to the
// virtual one, by the same port and by another.
const (
	publicAddr = "198.51.100.1"
	otherPort  = 9443
)

func (r *rig) route(t *testing.T) (world *lab.Host) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("there is no nft: a router needs it")
	}
	router := r.network.Host("router", "10.99.0.254/24", publicAddr+"/24")
	onHost(t, router, fmt.Sprintf(`echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<END
table ip nat {
	chain in { type nat hook prerouting priority dstnat;
		ip daddr %[1]s tcp dport %[2]d dnat to %[3]s:%[2]d
		ip daddr %[1]s tcp dport %[4]d dnat to %[3]s:%[2]d
	}
	chain out { type nat hook postrouting priority srcnat; ip daddr %[3]s masquerade; }
}
END`, publicAddr, frontAPI, virtual, otherPort))
	return r.network.Host("world", "198.51.100.50/24")
}

// TestThroughARouter: a link has the public address. A port that the router alone knows
// has to be allowed.
func TestThroughARouter(t *testing.T) {
	t.Parallel()
	other := fmt.Sprintf("http://%s:%d", publicAddr, otherPort)
	r := newRig(t, 3, node.Settings{"public_addr": publicAddr})
	r.there = r.route(t)
	vm, b := r.sample(t, vmPort), r.browse(t)
	l := r.link(t, vm, nil)
	if want := fmt.Sprintf("http://%s:%d/console/", publicAddr, frontAPI); !strings.HasPrefix(l.ConsoleURL, want) {
		t.Fatalf("got %s, want %s", l.ConsoleURL, want)
	}
	opens(t, b, l.ConsoleURL)
	settles(t, b)
	uncomplaining(t, l.ConsoleURL, b)

	second := b.Tab(t)
	forwarded := r.link(t, r.sample(t, vmPort+1), map[string]any{"vm_id": "by another port"})
	second.Do(t, chromedp.Navigate(other+"/console/?token="+forwarded.Ticket))
	endsWith(t, second, "This page may not be opened from here", "")
	second.Shot(t, "foreign-origin")
	try(t, r.dispatcher(t, 0).Call(soon(t), "POST", "/v3/change_settings/", map[string]any{"console": map[string]any{"allowed_origins": []string{other}}}, nil))
	second.Do(t, chromedp.Navigate("about:blank"))
	opens(t, second, other+"/console/?token="+forwarded.Ticket)

	began := time.Now()
	for i, h := range r.gates {
		if slices.Contains(r.carriers(t), h.Addr().String()) { // both are of one client
			r.nodes[i].Kill()
			break
		}
	}
	soonBack(t, b, began)
}
