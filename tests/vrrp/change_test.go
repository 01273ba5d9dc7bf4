package vrrp

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// change is a change of settings while the nodes run.
type change struct {
	name string
	vrrp map[string]any
	more node.Settings
	// stays tells that the address does not move at all.
	stays bool
	// to is the node that has it afterwards; 0: any.
	to int
	// every is the interval afterwards.
	every time.Duration
}

func changes() []change {
	return []change{
		{name: "interval of 50 ms", vrrp: map[string]any{"advert_ms": 50}, stays: true, every: 50 * time.Millisecond},
		{name: "interval of 100 ms", stays: true, every: interval},
		{name: "interval of 10 ms", vrrp: map[string]any{"advert_ms": 10}, stays: true, every: 10 * time.Millisecond},
		{name: "interval of 1 s", vrrp: map[string]any{"advert_ms": 1000}, stays: true, every: time.Second},
		{name: "interval of 100 ms again", stays: true, every: interval},
		{name: "a higher priority of the last node", more: priorities(100, 110, 200), stays: true, every: interval},
		{name: "preemption", vrrp: map[string]any{"preempt": true}, more: priorities(100, 110, 200), to: 3, every: interval},
		{name: "a higher priority of the second node", vrrp: map[string]any{"preempt": true}, more: priorities(100, 210, 200), to: 2, every: interval},
		{name: "no preemption", stays: true, every: interval},
		{name: "the checksum of RFC 9568", vrrp: map[string]any{"checksum": "rfc9568"}, stays: true, every: interval},
		{name: "another router id", vrrp: map[string]any{"router_id": routerID + 1}, every: interval},
		{name: "unicast", vrrp: map[string]any{"mode": "unicast"}, every: interval},
		{name: "the router id of before, multicast", every: interval},
	}
}

func priorities(all ...int) node.Settings {
	nodes := map[string]any{}
	for i, p := range all {
		nodes["10.99.0."+string(rune('1'+i))] = map[string]any{"priority": p}
	}
	return node.Settings{"nodes": nodes}
}

// Settings change on nodes that run: one has the address all the time, but for the time
// that a take-over needs where there is a new election.
func TestSettingsChangeLive(t *testing.T) {
	t.Parallel()
	steady(t, changeLive)
}

func changeLive(t testing.TB) {
	t.Helper()
	r := newCluster(t, four, 3, nil)
	d := r.nodes[0].node.Dispatcher()
	t.Cleanup(d.Close)
	for _, c := range changes() {
		owner, at := r.settled(), time.Now()
		settings := node.Settings{"vrrp": election(c.vrrp), "nodes": map[string]any{}}
		for key, value := range c.more {
			settings[key] = value
		}
		if _, err := d.Change(soon(t), settings); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		t.Logf("%s %s", at.UTC().Format("15:04:05.000"), c.name)
		c.judge(r, owner, at)
		if t.Failed() {
			t.Fatalf("after: %s", c.name)
		}
	}
}

// judge looks at what came of a change.
func (c change) judge(r *rig, owner *lab.Host, at time.Time) {
	r.t.Helper()
	limit := down(100, c.every) + slack
	switch {
	case c.stays:
		r.keeps(owner, at, time.Since(at)+limit)
	case c.to > 0:
		r.only(r.nodes[c.to-1].host, at, time.Since(at)+limit)
	default:
		until(at.Add(time.Since(at) + limit))
		r.only(r.settled(), at, time.Since(at))
	}
	r.gap(at, limit)
	r.overlap(at, slack)
}

// readyTime is how long a node needs to find out that it can serve, or cannot.
const readyTime = 500 * time.Millisecond

// A node that is switched off resigns at once, and one that is switched on again takes
// part.
func TestDisabledNodeResigns(t *testing.T) {
	t.Parallel()
	lab.Need(t, "keepalived")
	steady(t, disable)
}

func disable(t testing.TB) {
	t.Helper()
	c := newContest(t, combination{version: 3, virtual: four, first: true, priority: 200, preempt: true})
	c.begins(c.ours)
	c.joins(c.ours, c.theirs)
	d := c.nodes[0].node.Dispatcher()
	defer d.Close()
	for _, tt := range []struct {
		enabled bool
		owner   *contender
	}{{false, c.theirs}, {true, c.ours}} {
		at := time.Now()
		if _, err := d.Change(soon(t), node.Settings{"is_enabled": tt.enabled}); err != nil {
			t.Fatal(err)
		}
		c.only(tt.owner.host, at, time.Since(at)+readyTime+c.limit(tt.owner))
		c.overlap(at, slack+keepalivedSlack)
	}
	if role := c.nodes[0].health().Role; role != "active" {
		t.Errorf("got role %s, want active", role)
	}
}

// checkTime is how long a node may take to find out that no tunnel goes through it: two
// checks have to fail.
const checkTime = 4500 * time.Millisecond

// A node whose tunnels carry nothing resigns: somebody else has the address within the
// time that its check takes.
func TestNodeThatCannotServeResigns(t *testing.T) {
	t.Parallel()
	lab.Need(t, "nft")
	steady(t, cannotServe)
}

func cannotServe(t testing.TB) {
	t.Helper()
	r := newCluster(t, four, 2, nil)
	owner := r.machineOf(r.settled())
	successor := r.better(owner)
	at := time.Now()
	r.filter(owner.host, "table inet broken {\n chain arriving {\n type filter hook input priority 0;\n iif lo meta l4proto tcp drop\n }\n}\n")
	r.only(successor.host, at, checkTime)
	r.gap(at, slack)
	r.filter(owner.host, "delete table inet broken")
	owner.competes()
	r.keeps(successor.host, time.Now(), 2*masterDown())
	if !logged(owner.node, "warning", "does not compete", "tunnel") {
		t.Error("got no warning in the log that says why it does not compete, want one")
	}
}

// filter has a host filter packets.
func (r *rig) filter(h *lab.Host, script string) {
	r.t.Helper()
	cmd := exec.Command("nft", "-f", "-") //nolint:noctx // Run ends it
	cmd.Stdin = strings.NewReader(script)
	_, err := h.Run(soon(r.t), cmd)
	r.try(err)
}
