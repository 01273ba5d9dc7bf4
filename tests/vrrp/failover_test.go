package vrrp

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

// The address moves on purpose, whichever node is asked, and stays where it is then,
// also if the first node is preferred.
func TestFailoverMovesTheAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		preempt bool
		asked   bool // the other node
	}{
		{"the active node is asked, preempt", true, false},
		{"the active node is asked", false, false},
		{"another node is asked, preempt", true, true},
		{"another node is asked", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) {
				failOver(newCluster(t, four, 2, map[string]any{"preempt": tt.preempt}), tt.preempt, tt.asked)
			})
		})
	}
}

// failOver asks the owner, or the other node, to move the address, and to move it back.
func failOver(r *rig, preempt bool, askOther bool) {
	r.t.Helper()
	owner := r.machineOf(r.settled())
	if preempt {
		owner = r.nodes[0]
		r.only(owner.host, time.Now(), patience)
	}
	successor := r.better(owner)
	asked := owner
	if askOther {
		asked = successor
	}
	eventually(r.t, "the node that is asked knows who is active", func() bool { return knowsActive(asked) })
	p := r.ping()
	p.reach(owner.host)
	at := time.Now()
	out, err := r.command(asked, "failover")
	if err != nil || !strings.Contains(out, owner.host.Addr().String()) {
		r.t.Errorf("got %q and %v, want it to name %s", out, err, owner.host.Addr())
	}
	r.only(successor.host, time.Now(), slack)
	p.reach(successor.host)
	r.gap(at, slack)
	r.overlap(at, slack)
	r.keeps(successor.host, time.Now(), 3*masterDown())
	eventually(r.t, "the node that is asked knows who is active", func() bool { return knowsActive(asked) })
	if out, err = r.command(asked, "failover"); err != nil {
		r.t.Errorf("back: got %q and %v, want it to move again", out, err)
	}
	r.only(owner.host, time.Now(), slack)
}

// knowsActive tells whether a node knows another that is active, or is it.
func knowsActive(m *machine) bool {
	for _, member := range m.health().Cluster {
		if member.Alive && member.Role == "active" {
			return true
		}
	}
	return false
}

// A node that nobody can follow keeps the address and says so.
func TestFailoverWithoutSuccessor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		alone func(testing.TB) (*rig, *machine)
	}{
		{"the only node", func(t testing.TB) (*rig, *machine) {
			r := newRig(t, four)
			m := r.add(node.Settings{"internal_addrs": []string{"10.99.0.1"}, "vrrp": election(nil)}, "10.99.0.1/24")
			r.watch()
			m.launch()
			return r, m
		}},
		{"the other one is dead", func(t testing.TB) (*rig, *machine) {
			r := newCluster(t, four, 2, nil)
			owner := r.machineOf(r.settled())
			r.better(owner).node.Kill()
			return r, owner
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { noSuccessor(tt.alone(t)) })
		})
	}
}

func noSuccessor(r *rig, m *machine) {
	r.t.Helper()
	r.only(m.host, time.Now(), patience)
	eventually(r.t, "the node knows that it is active", func() bool { return m.health().Role == "active" })
	at := time.Now()
	out, err := r.command(m, "failover")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		r.t.Errorf("got %v, want exit code 1", err)
	}
	if !strings.Contains(out, "no other node") {
		r.t.Errorf("got %q, want it to say that no other node took over", out)
	}
	r.keeps(m.host, at, time.Since(at)+2*masterDown())
}

// A node that is stopped hands over before it ends.
func TestStoppedNodeHandsOver(t *testing.T) {
	t.Parallel()
	for _, virtual := range families() {
		t.Run(virtual, func(t *testing.T) {
			t.Parallel()
			steady(t, func(t testing.TB) { stop(newCluster(t, virtual, 3, nil)) })
		})
	}
}

func stop(r *rig) {
	r.t.Helper()
	owner := r.machineOf(r.settled())
	p := r.ping()
	p.reach(owner.host)
	at := time.Now()
	r.try(owner.node.Stop())
	r.gone(owner.host, at, interval+slack)
	successor := r.settled()
	r.only(successor, at, interval+slack)
	p.reach(successor)
	r.gap(at, 20*time.Millisecond)
	r.keeps(successor, time.Now(), masterDown())
	if want := r.better(owner).host; successor != want {
		r.t.Errorf("got %s as successor, want %s with the higher priority", successor.Name(), want.Name())
	}
}
