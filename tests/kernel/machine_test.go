package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// logEnd is how much of what a node said is shown when a test fails.
const logEnd = 6000

// logsVariable names a folder for what nodes of a failed test said.
const logsVariable = "VDI_GATEWAY_LOGS"

// machine is a host with a node of ours. Its process has a child, the guard of the
// addresses.
type machine struct {
	r         *rig
	host, leg *lab.Host // by its interface outside, and by that inside
	config    node.Config
	node      *node.Node
	former    []*node.Node
	api       *node.Client // its own, as the dispatcher
}

// launch starts the node and does not wait.
func (m *machine) launch() {
	m.r.t.Helper()
	if m.node != nil {
		m.former = append(m.former, m.node)
	}
	var err error
	m.node, err = node.Launch(m.host, m.config)
	m.r.try(err)
	if m.api == nil {
		m.api = m.node.Dispatcher()
		m.r.t.Cleanup(m.api.Close)
	}
}

// ready waits until the node serves, and takes part in the election if there is one.
func (m *machine) ready() {
	m.r.t.Helper()
	m.r.try(m.node.Ready(soon(m.r.t)))
	if m.r.shape.alone {
		return
	}
	eventually(m.r.t, m.host.Name()+" competes for the address", func() bool {
		role := m.health().Role
		return role == "backup" || role == "active"
	})
}

// health is the part of the answer that matters here; empty when there is none.
type health struct {
	Status      string
	Role        string
	VirtualAddr struct{ Held bool } `json:"virtual_addr"`
	Cluster     []struct {
		Node  string
		Alive bool
		Role  string
	}
	Checks []struct {
		Name   string
		OK     bool
		Detail string
	}
}

func (m *machine) health() (h health) {
	if err := m.api.Call(soon(m.r.t), "GET", "/v3/health/", nil, &h); err != nil {
		return health{}
	}
	return h
}

// alive is how many nodes this one believes to be alive.
func (m *machine) alive() (n int) {
	for _, member := range m.health().Cluster {
		if member.Alive {
			n++
		}
	}
	return n
}

// serves waits until a node has the address alone, and all nodes know each other. On a
// machine that is too busy another one may have it: then that hands over.
func (r *rig) serves(m *machine) {
	r.t.Helper()
	if r.shape.alone {
		return
	}
	for owner := r.settled(); owner != m; owner = r.settled() {
		r.t.Logf("%s has the address, although %s had it", owner.host.Name(), m.host.Name())
		owner.failover()
	}
}

// settled waits until one node has the address alone and all know each other and it.
func (r *rig) settled() (owner *machine) {
	r.t.Helper()
	eventually(r.t, "one node has the address, and all know each other", func() bool {
		owner = nil
		for _, m := range r.nodes {
			if m.aware() != len(r.nodes) {
				return false
			}
			if slices.Equal(r.owners.Now(), []*lab.Host{m.host}) && m.health().Role == "active" {
				owner = m
			}
		}
		return owner != nil
	})
	return owner
}

// aware is how many nodes this one believes to be alive, if it knows an active one.
func (m *machine) aware() (alive int) {
	active := false
	for _, member := range m.health().Cluster {
		if member.Alive {
			alive++
			active = active || member.Role == "active"
		}
	}
	if !active {
		return 0
	}
	return alive
}

// takes waits until a node has the address.
func (r *rig) takes(m *machine) {
	r.t.Helper()
	eventually(r.t, m.host.Name()+" has the address", func() bool { return slices.Contains(r.owners.Now(), m.host) })
}

// cut takes both links of the node away at once.
func (m *machine) cut() {
	m.r.t.Helper()
	err := m.host.Cut()
	if m.leg != m.host {
		err = errors.Join(err, m.leg.Cut())
	}
	m.r.try(err)
}

func (m *machine) mend() {
	m.r.t.Helper()
	err := m.host.Mend()
	if m.leg != m.host {
		err = errors.Join(err, m.leg.Mend())
	}
	m.r.try(err)
}

// blank makes the host what it is after a boot: nothing is tracked, and there is no table.
func (m *machine) blank() {
	m.r.t.Helper()
	for _, command := range [][]string{{"nft", "flush", "ruleset"}, {"conntrack", "--flush"}} {
		_, err := m.host.Run(soon(m.r.t), exec.Command(command[0], command[1:]...)) //nolint:gosec // ours
		m.r.try(err)
	}
}

// dropAddresses takes those away that the node has not because it is what it is.
func (m *machine) dropAddresses() {
	_ = m.host.Drop(m.r.virtual) // it is not there, or the kernel has done it
	_ = m.leg.Drop(m.r.within)
}

// guard is the process that guards the addresses.
func (m *machine) guard() (pid int) {
	m.r.t.Helper()
	eventually(m.r.t, m.host.Name()+" has one guard", func() bool {
		pids := node.Children(m.node.PID())
		if len(pids) == 1 {
			pid = pids[0]
		}
		return len(pids) == 1
	})
	return pid
}

// pids are all processes of the node, its guard first.
func (m *machine) pids() []int {
	if m.r.shape.alone {
		return []int{m.node.PID()}
	}
	return []int{m.guard(), m.node.PID()}
}

func (m *machine) signal(s syscall.Signal, pids ...int) {
	m.r.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			m.r.t.Fatalf("%s: %s for process %d: %v", m.host.Name(), s, pid, err)
		}
	}
}

// failover has the active node hand over.
func (m *machine) failover() {
	m.r.t.Helper()
	began := time.Now()
	var err error
	for began.Add(patience).After(time.Now()) {
		err = m.api.Call(soon(m.r.t), "POST", "/v3/failover/", struct{}{}, nil)
		if node.Code(err) != "NOT_ACTIVE" {
			break
		}
		time.Sleep(pollEvery) // what it tells of itself comes a moment later
	}
	m.r.try(err)
	m.r.t.Logf("handed over by %s in %s", m.host.Name(), time.Since(began).Round(time.Millisecond))
}

// tell logs what the node said, and keeps all of it where logsVariable says.
func (m *machine) tell() {
	for i, n := range append(m.former, m.node) {
		if n != nil {
			text := n.Log()
			if dir := os.Getenv(logsVariable); dir != "" {
				file := fmt.Sprintf("%s-%s-%d.log", strings.ReplaceAll(m.r.t.Name(), "/", "-"), m.host.Name(), i+1)
				m.r.try(os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			m.r.t.Logf("log of %s:\n%s", m.host.Name(), text[max(0, len(text)-logEnd):])
		}
	}
}

// stopAll lets no process stand still for ever.
func (m *machine) stopAll() {
	if m.node != nil {
		m.node.Kill()
	}
}
