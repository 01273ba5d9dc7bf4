package kernel

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	patience  = 30 * time.Second // for what takes milliseconds
	pollEvery = 10 * time.Millisecond
	frontAPI  = 8002
	people    = 25 // addresses of clients
)

// shape is what a rig looks like.
type shape struct {
	nodes int
	// flat is one network for all, and no inside_addr.
	flat bool
	six  bool // IPv6 for clients and VMs
	// alone is a node without virtual_addr.
	alone      bool
	forwarding string        // "": what is to be tested
	over       node.Settings // more settings
}

// rig is a gateway, its clients and VMs.
type rig struct {
	t               testing.TB
	shape           shape
	outside, inside *lab.Network // the same one if flat
	virtual         netip.Addr   // what clients connect to
	within          netip.Addr   // what VMs see, if the kernel forwards
	nodes           []*machine
	clients         *lab.Host
	people          []netip.Addr
	vms             []*vmHost
	owners          *lab.Owners // of virtual
	sessions        int
	stalls          *stalls
}

// forwarding is what is to be tested.
func forwarding() string { return cmp.Or(os.Getenv("VDI_GATEWAY_FORWARDING"), "kernel") }

// newRig makes the networks, starts the nodes, and waits until the first one serves.
func newRig(t testing.TB, s shape) *rig {
	t.Helper()
	lab.Need(t, "nft")
	if s.six && !lab.IPv6() {
		t.Skip("this kernel has no IPv6")
	}
	s.forwarding = cmp.Or(s.forwarding, forwarding())
	r := &rig{t: t, shape: s, outside: lab.New(t)}
	r.inside = r.outside
	if !s.flat {
		r.inside = lab.New(t)
	}
	r.addPeople()
	for i := range max(s.nodes, 1) {
		r.add(i)
	}
	r.virtual, r.within = r.address(100), r.insideAddress(100)
	if s.alone {
		r.virtual, r.within = r.nodes[0].host.Addr(), r.nodes[0].leg.Addr()
	}
	r.stalls = watchStalls(t)
	var err error
	r.owners, err = r.outside.Owners(r.virtual)
	r.try(err)
	t.Cleanup(r.end)
	for i, m := range r.nodes {
		r.try(node.Prepare(m.host, m.config))
		m.launch()
		m.ready()
		if i == 0 && !s.alone { // before there is another one
			r.takes(m)
		}
	}
	r.serves(r.nodes[0])
	return r
}

// address is one of the outside network, in the family of the rig.
func (r *rig) address(n int) netip.Addr {
	if r.shape.six {
		return netip.MustParseAddr(fmt.Sprintf("fd99::%d", n))
	}
	return netip.MustParseAddr(fmt.Sprintf("10.99.0.%d", n))
}

// insideAddress is one of the network of VMs.
func (r *rig) insideAddress(n int) netip.Addr {
	switch {
	case r.shape.flat:
		return r.address(n)
	case r.shape.six:
		return netip.MustParseAddr(fmt.Sprintf("fd98::%d", n))
	}
	return netip.MustParseAddr(fmt.Sprintf("10.98.0.%d", n))
}

// addPeople adds the hosts of clients and VMs, which have addresses of both families.
func (r *rig) addPeople() {
	r.t.Helper()
	var addrs []string
	for i := range people {
		addrs = append(addrs, fmt.Sprintf("10.99.0.%d/24", 150+i), fmt.Sprintf("fd99::%d/64", 150+i))
		r.people = append(r.people, r.address(150+i))
	}
	r.clients = r.outside.Host("clients", addrs...)
	for i := range 2 {
		n := 200 + i
		four, six := "10.98.0.%d/24", "fd98::%d/64"
		if r.shape.flat {
			four, six = "10.99.0.%d/24", "fd99::%d/64"
		}
		h := r.inside.Host(fmt.Sprintf("vm%d", i+1), fmt.Sprintf(four, n), fmt.Sprintf(six, n))
		r.vms = append(r.vms, r.newVMHost(h, r.insideAddress(n)))
	}
}

// add adds a node, and does not start it.
func (r *rig) add(i int) {
	r.t.Helper()
	n := i + 1
	m := &machine{r: r, host: r.outside.Host(fmt.Sprintf("node%d", n), fmt.Sprintf("10.99.0.%d/24", n), fmt.Sprintf("fd99::%d/64", n))}
	m.leg = m.host
	if !r.shape.flat {
		m.leg = r.inside.Join(m.host, fmt.Sprintf("10.98.0.%d/24", n), fmt.Sprintf("fd98::%d/64", n))
	}
	m.config = node.Config{Binary: node.Binary(), DB: filepath.Join(r.t.TempDir(), "settings.db"), Settings: r.settings()}
	r.nodes = append(r.nodes, m)
}

// settings are those of all nodes.
func (r *rig) settings() node.Settings {
	var addrs []string
	for i := range max(r.shape.nodes, 1) {
		addrs = append(addrs, fmt.Sprintf("10.99.0.%d", i+1))
	}
	s := node.Settings{
		"internal_addrs": addrs, "balancer_api_port": frontAPI, "forwarding": r.shape.forwarding,
		"targets": map[string]any{
			"allow": []map[string]any{{"cidr": "10.98.0.0/24"}, {"cidr": "10.99.0.0/24"}, {"cidr": "fd98::/16"}, {"cidr": "fd99::/16"}},
			"ports": []string{"1-65535"}, "require_ticket": false,
		},
	}
	if !r.shape.alone {
		s["virtual_addr"] = r.address(100).String()
	}
	if !r.shape.flat && !r.shape.alone && r.shape.forwarding == "kernel" {
		s["inside_addr"] = r.insideAddress(100).String()
	}
	maps.Copy(s, r.shape.over)
	return s
}

// api is where clients call.
func (r *rig) api() netip.AddrPort {
	if r.shape.alone {
		return netip.AddrPortFrom(r.virtual, node.APIPort)
	}
	return netip.AddrPortFrom(r.virtual, frontAPI)
}

// front is a client with one of the addresses.
func (r *rig) front(from netip.Addr) *node.Client {
	c := node.ClientAt(r.api(), r.clients, from)
	r.t.Cleanup(c.Close)
	return c
}

// end says what the nodes said if the test failed.
func (r *rig) end() {
	r.owners.Close()
	for _, m := range r.nodes {
		if r.t.Failed() {
			m.tell()
		}
		m.stopAll()
	}
}

// try has the test end when something of the lab does not work.
func (r *rig) try(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// parallel lets quick tests wait beside others; crowds of a thousand need the machine for
// themselves.
func parallel(t *testing.T) {
	t.Helper()
	if !full {
		t.Parallel()
	}
}

// soon is a context for one call.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}
