package vrrp

import (
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
	patience  = 20 * time.Second // for what takes milliseconds
	pollEvery = 2 * time.Millisecond
	routerID  = 51
	interval  = 100 * time.Millisecond // between advertisements, unless a test says otherwise
	frontAPI  = 8002
)

// rig is a network in which some compete for a virtual address.
type rig struct {
	t       testing.TB
	network *lab.Network
	virtual netip.Addr
	owners  *lab.Owners
	began   time.Time // to watch them
	client  *lab.Host
	nodes   []*machine
}

// newRig makes the network for a virtual address. Hosts are added before watch.
func newRig(t testing.TB, virtual string) *rig {
	t.Helper()
	r := &rig{t: t, network: lab.New(t), virtual: netip.MustParseAddr(virtual)}
	if r.virtual.Is6() && !lab.IPv6() {
		t.Skip("this kernel has no IPv6")
	}
	r.client = r.network.Host("client", "10.99.0.150/24", "fd99::150/64")
	return r
}

// newCluster starts n nodes of ours, the first with the highest priority, and waits
// until one has the address. VRRP is as election(over) says.
func newCluster(t testing.TB, virtual string, n int, over map[string]any) *rig {
	t.Helper()
	r := prepareCluster(t, virtual, n, over)
	for _, m := range r.nodes {
		m.launch()
	}
	for _, m := range r.nodes {
		m.competes()
	}
	r.settled()
	return r
}

// prepareCluster is newCluster before the start.
func prepareCluster(t testing.TB, virtual string, n int, over map[string]any) *rig {
	t.Helper()
	r := newRig(t, virtual)
	var addrs []string
	for i := range n {
		addrs = append(addrs, fmt.Sprintf("10.99.0.%d", i+1))
	}
	for i, a := range addrs {
		settings := node.Settings{"internal_addrs": addrs, "vrrp": election(over)}
		r.add(settings, a+"/24", fmt.Sprintf("fd99::%d/64", i+1))
	}
	r.watch()
	return r
}

// election is the settings of VRRP, with some of its members changed.
func election(over map[string]any) map[string]any {
	s := map[string]any{"version": 3, "router_id": routerID, "advert_ms": interval.Milliseconds()}
	maps.Copy(s, over)
	return s
}

// add adds the host of a node and writes its settings.
func (r *rig) add(settings node.Settings, addrs ...string) *machine {
	r.t.Helper()
	name := fmt.Sprintf("node%d", len(r.nodes)+1)
	all := node.Settings{"virtual_addr": r.virtual.String(), "balancer_api_port": frontAPI}
	maps.Copy(all, settings)
	m := &machine{r: r, host: r.network.Host(name, addrs...), config: node.Config{
		Binary: node.Binary(), DB: filepath.Join(r.t.TempDir(), name, "settings.db"), Settings: all,
	}}
	if err := os.MkdirAll(filepath.Dir(m.config.DB), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := node.Prepare(m.host, m.config); err != nil {
		r.t.Fatal(err)
	}
	r.nodes = append(r.nodes, m)
	return m
}

// watch begins to follow the address, on all hosts added so far.
func (r *rig) watch() {
	r.t.Helper()
	r.began = time.Now()
	var err error
	if r.owners, err = r.network.Owners(r.virtual); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.owners.Close()
		if err := r.owners.Err(); err != nil {
			r.t.Errorf("the owners were not seen all the time: %v", err)
		}
		for _, s := range r.owners.Spans(r.began) {
			r.t.Logf("%s for %s: %s", s.From.UTC().Format("15:04:05.000"), s.Length().Round(100*time.Microsecond), names(s.Owners))
		}
		if r.t.Failed() {
			r.tell()
		}
	})
}

// tell logs what the nodes said.
func (r *rig) tell() {
	for _, m := range r.nodes {
		for i, log := range m.logs() {
			r.t.Logf("log of %s, run %d:\n%s", m.host.Name(), i+1, log)
		}
	}
}

// machineOf is the node on a host, nil: it is none of ours.
func (r *rig) machineOf(h *lab.Host) *machine {
	for _, m := range r.nodes {
		if m.host == h {
			return m
		}
	}
	return nil
}

// try has the test end when something of the lab does not work.
func (r *rig) try(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
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
