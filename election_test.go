package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/vrrp"
)

func TestAddressChecks(t *testing.T) {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	stranger := vrrp.Stranger{Addr: netip.MustParseAddr("10.0.0.77"), Last: at, What: "uses router id 1 for other addresses (10.0.0.9): change vrrp.router_id here or there"}
	for _, tt := range []struct {
		name   string
		addr   string
		status vrrp.Status
		failed string   // names of checks that are not ok
		says   []string // in some detail
	}{
		{"no VRRP", "127.0.0.9", vrrp.Status{Role: vrrp.RoleNone}, "", nil},
		{
			"active", "127.0.0.9",
			vrrp.Status{Role: vrrp.RoleActive, Since: at, Why: "no other node is active", Took: 700 * time.Microsecond, Held: true},
			"",
			[]string{"active since 2026-11-25T10:00:00Z: no other node is active; it took 700µs"},
		},
		{
			"backup", "10.255.255.9",
			vrrp.Status{Role: vrrp.RoleBackup, Since: at, Why: "this node can serve", Active: netip.MustParseAddr("10.0.0.2")},
			"",
			[]string{"backup since", "10.0.0.2 is active", "is in no network of this host"},
		},
		{"fault", "10.255.255.9", vrrp.Status{Role: vrrp.RoleFault, Since: at, Why: "interface eth0 is down"}, "vrrp", []string{"interface eth0 is down"}},
		{"the address of another node is here", "127.0.0.9", vrrp.Status{Role: vrrp.RoleBackup, Since: at}, "virtual_addr", []string{"127.0.0.9 is on this host"}},
		{
			"a stranger", "127.0.0.9",
			vrrp.Status{Role: vrrp.RoleActive, Since: at, Held: true, Strangers: []vrrp.Stranger{stranger}},
			"router_id",
			[]string{"10.0.0.77 uses router id 1 for other addresses", "vrrp.router_id"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var failed, details []string
			for _, c := range addressChecks(tt.addr, tt.status) {
				details = append(details, c.Detail)
				if !c.OK {
					failed = append(failed, c.Name)
				}
			}
			if got := strings.Join(failed, " "); got != tt.failed {
				t.Errorf("got %q failed, want %q: %q", got, tt.failed, details)
			}
			for _, text := range tt.says {
				if !strings.Contains(strings.Join(details, "\n"), text) {
					t.Errorf("got %q, want %q in it", details, text)
				}
			}
		})
	}
}

// Two owners are a fault, a hand-over of a moment ago is not.
func TestOwnerChecks(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	both := []api.Member{{Node: "10.0.0.1", Alive: true, Role: "active"}, {Node: "10.0.0.2", Alive: true, Role: "active"}}
	away := []api.Member{both[0], {Node: "10.0.0.2", Role: "active"}}
	active := vrrp.Status{Role: vrrp.RoleActive, Since: at}
	for _, tt := range []struct {
		name    string
		members []api.Member
		status  vrrp.Status
		after   time.Duration
		want    int
	}{
		{"just taken over", both, active, time.Second, 0},
		{"for longer", both, active, 3 * time.Second, 1},
		{"the other one is dead", away, active, 3 * time.Second, 0},
		{"a backup cannot tell", both, vrrp.Status{Role: vrrp.RoleBackup, Since: at}, 3 * time.Second, 0},
	} {
		if got := ownerChecks(tt.members, tt.status, at.Add(tt.after)); len(got) != tt.want {
			t.Errorf("%s: got %v, want %d findings", tt.name, got, tt.want)
		}
	}
}

// Under load one check through a tunnel may be late. Anything else counts at once.
func TestALateCheckCostsNobodyTheAddress(t *testing.T) {
	a := &app{}
	at := time.Unix(1_000_000, 0)
	for _, s := range []struct {
		after time.Duration
		ready bool
		why   string
		want  bool
	}{
		{0, false, "tunnel: timeout", false}, // it never was ready
		{time.Second, true, "", true},
		{2 * time.Second, false, "tunnel: timeout", true},
		{3 * time.Second, false, "tunnel: timeout", true},
		{4 * time.Second, false, "tunnel: timeout", false},
		{5 * time.Second, true, "", true},
		{6 * time.Second, false, "setup: port 8000 is taken", false},
	} {
		if got := a.fitFor(s.ready, s.why, at.Add(s.after)); got != s.want {
			t.Errorf("%s, ready %t, %s: got %t, want %t", s.after, s.ready, s.why, got, s.want)
		}
	}
}

// On one loopback there is nothing to move.
func TestFailoverWithoutVRRP(t *testing.T) {
	t.Parallel()
	n := startNode(t, keys{"virtual_addr": "127.9.9.9"})
	h := n.health(t, 200)
	if h.Role != "none" || !h.VirtualAddr.Held || h.Status != "ok" {
		t.Errorf("got role %s, %+v, status %s; want none, held by all, ok", h.Role, h.VirtualAddr, h.Status)
	}
	if got := n.call(t, 409, call{path: "/v3/failover/", body: keys{}}); !strings.Contains(string(got.body), "NOT_ACTIVE") {
		t.Errorf("got %s, want NOT_ACTIVE", got.body)
	}
}
