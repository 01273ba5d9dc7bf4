package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	patience  = 60 * time.Second // for what takes milliseconds, or some seconds at most
	pollEvery = 20 * time.Millisecond
	gateway   = "10.99.0.1"
	virtual   = "10.99.0.100"
	frontAPI  = 8002
)

// rig is a gateway of some nodes, an authority that does not run yet, a client and a VM
// that echoes.
type rig struct {
	t         *testing.T
	network   *lab.Network
	authority *authority
	client    *lab.Host
	vm        netip.AddrPort
	hosts     []*lab.Host
	nodes     []*node.Node
	configs   []node.Config
	api       netip.AddrPort // where clients call
}

// newRig makes the hosts. One node is alone, more have a virtual address.
func newRig(t *testing.T, nodes int) *rig {
	t.Helper()
	t.Parallel()
	r := &rig{t: t, network: lab.New(t), api: netip.MustParseAddrPort(gateway + ":8000")}
	if nodes > 1 {
		r.api = netip.MustParseAddrPort(fmt.Sprintf("%s:%d", virtual, frontAPI))
	}
	r.authority = newAuthority(t, r.network, r.api.Addr().String())
	r.client = r.network.Host("client", "10.99.0.150/24")
	r.serveEcho()
	var addrs []string
	for i := range nodes {
		addrs = append(addrs, fmt.Sprintf("10.99.0.%d", i+1))
	}
	for i, a := range addrs {
		r.hosts = append(r.hosts, r.network.Host(fmt.Sprintf("node%d", i+1), a+"/24"))
		settings := node.Settings{"internal_addrs": addrs, "ssl": true, "tls": r.authority.settings()}
		if nodes > 1 {
			maps.Copy(settings, node.Settings{
				"virtual_addr": virtual, "balancer_api_port": frontAPI,
				"vrrp": map[string]any{"advert_ms": 1000}, // a machine that is busy for a moment moves no address
			})
		}
		r.configs = append(r.configs, node.Config{
			Binary: node.Binary(), DB: filepath.Join(t.TempDir(), "settings.db"), Settings: settings,
		})
	}
	r.nodes = make([]*node.Node, nodes)
	return r
}

// start starts the nodes and waits until they serve.
func (r *rig) start() {
	r.t.Helper()
	for i := range r.nodes {
		n, err := node.Start(r.hosts[i], r.configs[i])
		if err != nil {
			r.t.Fatal(err)
		}
		r.nodes[i] = n
		r.t.Cleanup(func() {
			r.nodes[i].Kill() // it would write to a folder that is being removed
			if r.t.Failed() {
				r.t.Logf("log of node %d:\n%s", i+1, r.nodes[i].Log())
			}
		})
	}
}

// command runs a command of the product on a node's host.
func (r *rig) command(i int, args ...string) (string, error) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), r.configs[i].Binary, append(args, "--db", r.configs[i].DB)...)
	return r.hosts[i].Run(soon(r.t), cmd)
}

// shown is the certificate that an address shows, and whether roots vouch for it.
func shown(from *lab.Host, to netip.AddrPort, roots *x509.CertPool) (*x509.Certificate, error) {
	c, err := from.Dial(netip.Addr{}, to, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(c, &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil})
	if err := secure.HandshakeContext(context.Background()); err != nil {
		return nil, err
	}
	return secure.ConnectionState().PeerCertificates[0], nil
}

// served waits until the API shows a certificate of the authority, another one than
// former, and tells how long that took.
func (r *rig) served(what string, former *x509.Certificate) *x509.Certificate {
	r.t.Helper()
	roots, began := r.authority.roots(), time.Now()
	var got *x509.Certificate
	eventually(r.t, what, func() bool {
		var err error
		got, err = shown(r.client, r.api, roots)
		return err == nil && (former == nil || !got.Equal(former))
	})
	r.t.Logf("%s: after %s, valid for %s", what, time.Since(began).Round(10*time.Millisecond), got.NotAfter.Sub(got.NotBefore))
	return got
}

// dispatcher calls a node, whatever its certificate is.
func (r *rig) dispatcher(i int) *node.Client {
	return r.nodes[i].Dispatcher().Secure(&tls.Config{InsecureSkipVerify: true})
}

// check is what health says under a name.
func (r *rig) check(i int, name string) (detail string, ok bool) {
	r.t.Helper()
	d := r.dispatcher(i)
	defer d.Close()
	var h struct {
		Checks []struct {
			Name, Detail string
			OK           bool
		}
	}
	if err := d.Call(soon(r.t), "GET", "/v3/health/", nil, &h); err != nil {
		return err.Error(), false
	}
	for _, c := range h.Checks {
		if c.Name == name {
			return c.Detail, c.OK
		}
	}
	return "there is no such check", false
}

// says waits until health says so.
func (r *rig) says(i int, name string, ok bool, words ...string) {
	r.t.Helper()
	var detail string
	var fine bool
	eventually(r.t, fmt.Sprintf("node %d says of %s: %t, %q", i+1, name, ok, words), func() bool {
		detail, fine = r.check(i, name)
		for _, w := range words {
			if !strings.Contains(detail, w) {
				return false
			}
		}
		return fine == ok
	})
}

// files is where a node keeps what it shares.
func (r *rig) files(i int, below string) string {
	return filepath.Join(filepath.Dir(r.configs[i].DB), "tls", "acme", below)
}

// session is a tunnel to the echoing VM.
func (r *rig) session() net.Conn {
	r.t.Helper()
	d := node.ClientAt(r.api, r.client).Secure(&tls.Config{InsecureSkipVerify: true})
	defer d.Close()
	tunnel, err := d.Open(soon(r.t), node.OpenRequest{VMAddress: r.vm.Addr().String(), VMPort: int(r.vm.Port())})
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := r.client.Dial(netip.Addr{}, tunnel.Addr(), patience)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *rig) echoes(what string, c net.Conn) {
	r.t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	got := make([]byte, 5)
	_, err := io.WriteString(c, "hello")
	if err == nil {
		_, err = io.ReadFull(c, got)
	}
	if err != nil || string(got) != "hello" {
		r.t.Errorf("%s: got %q, %v, want an echo", what, got, err)
	}
}

func (r *rig) serveEcho() {
	r.t.Helper()
	r.vm = netip.MustParseAddrPort("10.99.0.200:7000")
	l, err := r.network.Host("vm", r.vm.Addr().String()+"/24").Listen(r.vm.String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
}

// soon is a context for one call.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
