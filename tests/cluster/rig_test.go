package cluster

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	patience  = 20 * time.Second // for what takes milliseconds
	atOnce    = 3 * time.Second  // for what has to be quick
	frontAPI  = 8002
	statsPort = 8003
	echoPort  = 7000
)

// rig is a cluster behind a virtual address, its clients and a VM.
type rig struct {
	network *lab.Network
	virtual netip.Addr
	hosts   []*lab.Host
	nodes   []*node.Node
	configs []node.Config
	client  *lab.Host
	vm      netip.AddrPort // echoes
	holder  int            // index of the node that has the virtual address; -1: none
}

// newRig starts n nodes that know each other. The first one is preferred and has the
// virtual address.
func newRig(t *testing.T, n int, over node.Settings) *rig {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil && node.Kernel() {
		t.Skip("there is no nft: the kernel cannot move the bytes")
	}
	r := &rig{network: lab.New(t), virtual: netip.MustParseAddr("10.99.0.100"), holder: -1}
	r.client = r.network.Host("client", "10.99.0.150/24", "10.99.0.151/24", "10.99.0.152/24")
	r.serveEcho(t, r.network.Host("vm", "10.99.0.200/24"))
	for i := range n {
		r.addNode(t, i, n, over)
	}
	for i := range n {
		r.start(t, i)
	}
	r.hold(t, 0)
	r.together(t)
	eventually(t, "clients of the virtual address are sent to all nodes", func() bool { return r.up(t) == n })
	return r
}

// up is how many nodes the holder of the virtual address sends clients to.
func (r *rig) up(t *testing.T) int {
	t.Helper()
	holder := r.hosts[r.holder]
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: holder.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + netip.AddrPortFrom(holder.Addr(), statsPort).String() + "/metrics")
	if err != nil {
		t.Log(err)
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Log(err)
	}
	return len(regexp.MustCompile(`(?m)^vdigateway_backend_up\{front="api",.* 1$`).FindAll(text, -1))
}

// addNode adds the host of a node and writes its settings.
func (r *rig) addNode(t *testing.T, i, n int, over node.Settings) {
	t.Helper()
	var addrs []string
	for k := range n {
		addrs = append(addrs, fmt.Sprintf("10.99.0.%d", k+1))
	}
	host := r.network.Host(fmt.Sprintf("node%d", i+1), addrs[i]+"/24")
	settings := node.Settings{
		"internal_addrs": addrs, "virtual_addr": r.virtual.String(), "balancer_api_port": frontAPI,
		"vrrp": map[string]any{"advert_ms": 300}, // a busy machine stands still for a while, which is no test of this package
	}
	maps.Copy(settings, over)
	r.hosts = append(r.hosts, host)
	r.nodes = append(r.nodes, nil)
	r.configs = append(r.configs, node.Config{
		Binary: node.Binary(), DB: filepath.Join(t.TempDir(), fmt.Sprintf("node%d", i+1), "settings.db"), Settings: settings,
	})
}

// start starts a node that does not run.
func (r *rig) start(t *testing.T, i int) {
	t.Helper()
	_ = os.MkdirAll(filepath.Dir(r.configs[i].DB), 0o700) // Start fails without it
	var err error
	if _, there := os.Stat(r.configs[i].DB); there == nil {
		r.nodes[i], err = node.Launch(r.hosts[i], r.configs[i])
		if err == nil {
			err = r.nodes[i].Ready(soon(t))
		}
	} else {
		r.nodes[i], err = node.Start(r.hosts[i], r.configs[i])
	}
	if err != nil {
		t.Fatal(err)
	}
	n := r.nodes[i]
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of node %d:\n%s", i+1, n.Log())
		}
	})
}

// hold waits until a node has the virtual address.
func (r *rig) hold(t *testing.T, i int) {
	t.Helper()
	d := r.nodes[i].Dispatcher()
	defer d.Close()
	eventually(t, "the first node has the virtual address", func() bool {
		var h struct {
			VirtualAddr struct{ Held bool } `json:"virtual_addr"`
		}
		return d.Call(soon(t), "GET", "/v3/health/", nil, &h) == nil && h.VirtualAddr.Held
	})
	r.holder = i
}

// together waits until every node knows that all are alive.
func (r *rig) together(t *testing.T) {
	t.Helper()
	for _, n := range r.nodes {
		d := n.Dispatcher()
		eventually(t, "all nodes are alive for each other", func() bool { return alive(t, d) == len(r.nodes) })
		d.Close()
	}
}

// alive is how many nodes a node believes to be alive.
func alive(t *testing.T, d *node.Client) int {
	t.Helper()
	var h struct {
		Cluster []struct{ Alive bool }
	}
	if err := d.Call(soon(t), "GET", "/v3/health/", nil, &h); err != nil {
		t.Log(err)
		return 0
	}
	n := 0
	for _, m := range h.Cluster {
		if m.Alive {
			n++
		}
	}
	return n
}

// front is a client of the API on the virtual address.
func (r *rig) front(t *testing.T, from ...netip.Addr) *node.Client {
	t.Helper()
	c := node.ClientAt(netip.AddrPortFrom(r.virtual, frontAPI), r.client, from...)
	t.Cleanup(c.Close)
	return c
}

// dispatcher calls the API on the virtual address with api_key.
func (r *rig) dispatcher(t *testing.T) *node.Client {
	t.Helper()
	c := node.DispatcherAt(netip.AddrPortFrom(r.virtual, frontAPI), r.client)
	t.Cleanup(c.Close)
	return c
}

// request is for a tunnel to the echoing VM.
func (r *rig) request() node.OpenRequest {
	return node.OpenRequest{VMAddress: r.vm.Addr().String(), VMPort: int(r.vm.Port())}
}

// serveEcho has a host echo what it gets until the test ends.
func (r *rig) serveEcho(t *testing.T, h *lab.Host) {
	t.Helper()
	r.vm = netip.AddrPortFrom(h.Addr(), echoPort)
	l, err := h.Listen(r.vm.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
}

// echoes sends a line through a connection and wants it back.
func echoes(c net.Conn) error {
	line := fmt.Sprintf("hello from %s at %s\n", c.LocalAddr(), time.Now())
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, line); err != nil {
		return err
	}
	got := make([]byte, len(line))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != line {
		return fmt.Errorf("got %q back for %q", got, line)
	}
	return nil
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
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}
