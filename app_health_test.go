package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// contractHealth is the answer of health as the contract writes it.
type contractHealth struct {
	Status      string `json:"status"`
	Node        string `json:"node"`
	Version     string `json:"version"`
	UptimeS     *int   `json:"uptime_s"`
	Role        string `json:"role"`
	VirtualAddr struct {
		Addr  string     `json:"addr"`
		Held  bool       `json:"held"`
		Since *time.Time `json:"since"`
	} `json:"virtual_addr"`
	Cluster []struct {
		Node        string `json:"node"`
		Addr        string `json:"addr"`
		Alive       bool   `json:"alive"`
		Role        string `json:"role"`
		Connections int    `json:"connections"`
		Revision    int    `json:"revision"`
	} `json:"cluster"`
	Capacity struct {
		Max       int `json:"max"`
		Used      int `json:"used"`
		FreePorts int `json:"free_ports"`
	} `json:"capacity"`
	Dispatchers []struct {
		Addr string `json:"addr"`
		OK   bool   `json:"ok"`
	} `json:"dispatchers"`
	Checks []struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Detail string `json:"detail"`
	} `json:"checks"`
	SettingsRevision int `json:"settings_revision"`
}

// health reads the health, whose members are exactly those of the contract.
func (n *child) health(tb testing.TB, status int) contractHealth {
	tb.Helper()
	r := n.call(tb, status, call{path: "/v3/health/"})
	var h contractHealth
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		tb.Fatalf("%v: %s", err, r.body)
	}
	if diff := cmp.Diff(paths(tb, toJSON(tb, h)), paths(tb, r.body)); diff != "" {
		tb.Errorf("members of health (-want +got):\n%s", diff)
	}
	return h
}

// paths lists the members of a JSON document, of lists those of all entries.
func paths(tb testing.TB, text []byte) []string {
	tb.Helper()
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		tb.Fatal(err)
	}
	var list []string
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				list = append(list, at+"."+name)
				walk(at+"."+name, member)
			}
		case []any:
			for _, entry := range v {
				walk(at+"[]", entry)
			}
		}
	}
	walk("", document)
	slices.Sort(list)
	return slices.Compact(list)
}

func (h contractHealth) check(name string) (ok bool, detail string) {
	for _, c := range h.Checks {
		if c.Name == name {
			return c.OK, c.Detail
		}
	}
	return false, "there is no check " + name
}

func TestHealthIsAsTheContractSays(t *testing.T) {
	t.Parallel()
	vm := startVM(t)
	n := startNode(t, keys{"disp_addrs": []string{"127.0.0.1"}, "disp_port": vm.Port})
	tun, _ := n.connect(t, vm, nil)
	h := n.health(t, 200)
	if h.Status != "ok" || h.Node != n.addr.String() || h.Role != "none" || h.Version == "" || h.SettingsRevision != 1 {
		t.Errorf("got %+v, want an ok node %s of revision 1", h, n.addr)
	}
	if h.Capacity.Max != 10000 || h.Capacity.Used != 1 || h.Capacity.FreePorts != 99 {
		t.Errorf("got capacity %+v, want 1 of 10000 used and 99 free ports", h.Capacity)
	}
	if len(h.Cluster) != 1 || h.Cluster[0].Node != h.Node || !h.Cluster[0].Alive || h.Cluster[0].Connections != 1 {
		t.Errorf("got cluster %+v, want this node alone with a connection", h.Cluster)
	}
	if len(h.Dispatchers) != 1 || !h.Dispatchers[0].OK || h.Dispatchers[0].Addr != vm.String() {
		t.Errorf("got dispatchers %+v, want %s to answer", h.Dispatchers, vm)
	}
	if ok, detail := h.check(checkTunnel); !ok {
		t.Errorf("tunnel: got %q, want ok", detail)
	}
	list := into[struct {
		Connections []struct {
			ID string `json:"connection_id"`
		}
	}](t, n.call(t, 200, call{path: "/v3/get_connections/"}))
	if len(list.Connections) != 1 || list.Connections[0].ID != tun.ID {
		t.Errorf("got %+v, want the tunnel of the client and not the check's", list)
	}
}

func TestHealthIsDegraded(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := nobody.Addr().(*net.TCPAddr).Port
	_ = nobody.Close() // only a port where nobody listens was wanted
	for _, tt := range []struct {
		name  string
		over  keys
		check func(contractHealth) bool
	}{
		{
			"by a dispatcher that does not answer",
			keys{"disp_addrs": []string{"127.0.0.1"}, "disp_port": port},
			func(h contractHealth) bool { return len(h.Dispatchers) == 1 && !h.Dispatchers[0].OK },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, tt.over)
			eventually(t, "it is degraded", func() bool { return n.health(t, 200).Status == "degraded" })
			if h := n.health(t, 200); !tt.check(h) {
				t.Errorf("got %+v, want the reason in it", h)
			}
			n.call(t, 200, call{path: "/readyz"})
			n.connect(t, startVM(t), nil)
		})
	}
}

// A host that is none of the nodes serves the API, so that it can be told which
// it is.
func TestAHostThatIsNoNode(t *testing.T) {
	t.Parallel()
	own := loopback(t.Name())
	s := testSettings(t, own, keys{"internal_addrs": []string{"192.0.2.77", "192.0.2.78"}})
	n := launch(t, newDatabase(t, s), own)
	n.waitAlive(t)
	n.call(t, 503, call{path: "/readyz"})
	h := n.health(t, 503)
	if ok, detail := h.check(checkSetup); h.Status != "fail" || ok || !strings.Contains(detail, "192.0.2.77") {
		t.Errorf("got %s because of %q, want fail and the addresses", h.Status, detail)
	}
	open := call{path: "/v3/open_connection/", body: keys{"vm_address": "127.0.0.1", "vm_port": 1}, key: testCLIKey}
	n.call(t, 423, open)
	n.call(t, 424, call{path: "/v3/change_settings/", body: keys{"disp_port": 4300}})
	n.change(t, "", keys{"internal_addrs": []string{own.String()}})
	n.waitReady(t)
	n.connect(t, startVM(t), nil)
}

func TestSeveralNodesOnOneLoopback(t *testing.T) {
	t.Parallel()
	first, second := loopback(t.Name()+"1"), loopback(t.Name()+"2")
	s := testSettings(t, first, keys{"listen_ip": "", "internal_addrs": []string{first.String(), second.String()}})
	vm := startVM(t)
	for _, own := range []netip.Addr{first, second} {
		n := launch(t, newDatabase(t, s), own, "--node", own.String())
		n.waitReady(t)
		if h := n.health(t, 200); h.Node != own.String() {
			t.Errorf("got node %s, want %s", h.Node, own)
		}
		if tun, _ := n.connect(t, vm, nil); tun.Address != own.String() {
			t.Errorf("got a tunnel on %s, want %s", tun.Address, own)
		}
	}
	undecided := launch(t, newDatabase(t, testSettings(t, first, keys{
		"listen_ip": "127.0.0.1", "api_port": 18003, "internal_addrs": []string{first.String(), second.String()},
	})), netip.MustParseAddr("127.0.0.1"))
	eventually(t, "it says that several are local", func() bool { return strings.Contains(undecided.log.String(), "--node ADDR") })
}

// What stands in the way at the start is tried again, under the node's own name.
func TestATakenServicePortAtTheStart(t *testing.T) {
	t.Parallel()
	first, own := loopback(t.Name()+"1"), loopback(t.Name()+"2")
	taken, err := net.Listen("tcp", netip.AddrPortFrom(own, testService).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := testSettings(t, first, keys{
		"internal_addrs": []string{first.String(), own.String()}, "listen_ip": "", "disp_addrs": []string{"127.0.0.1"},
	})
	n := launch(t, newDatabase(t, s), own, "--node", own.String())
	n.waitAlive(t)
	until := time.Now().Add(retryEvery + retryEvery/4) // over the first new attempt
	eventually(t, "it has tried again", func() bool {
		h := n.health(t, 503)
		if ok, detail := h.check(checkSetup); ok || h.Node != own.String() || !strings.Contains(detail, "address already in use") {
			t.Fatalf("got node %s and %q, want %s and what is taken", h.Node, detail, own)
		}
		return time.Now().After(until)
	})
	_ = taken.Close()
	n.waitReady(t)
}

// A node that could not be set up can be helped by settings, and by no others.
func TestAFaultIsHelpedBySettings(t *testing.T) {
	t.Parallel()
	own := loopback(t.Name())
	taken, err := net.Listen("tcp", netip.AddrPortFrom(own, testService).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n := launch(t, newDatabase(t, testSettings(t, own, keys{"disp_addrs": []string{"127.0.0.1"}})), own)
	n.waitAlive(t)
	r := n.call(t, 424, call{path: "/v3/change_settings/", body: keys{"compression": false}})
	if _, message := r.refusal(t); !strings.Contains(message, "address already in use") {
		t.Errorf("got %q, want what is taken", message)
	}
	n.change(t, "", keys{"service_port": testMoved})
	n.call(t, 200, call{path: "/readyz"})
	n.connect(t, startVM(t), nil)
}
