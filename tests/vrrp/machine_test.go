package vrrp

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// machine is a host with a node of ours. Its process has a child, the guard of the
// virtual address.
type machine struct {
	r      *rig
	host   *lab.Host
	config node.Config
	node   *node.Node
	former []*node.Node
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
}

// competes waits until the node takes part in the election.
func (m *machine) competes() {
	m.r.t.Helper()
	eventually(m.r.t, m.host.Name()+" competes for the address", func() bool {
		role := m.health().Role
		return role == "backup" || role == "active"
	})
}

// health is what the node says of itself; empty when it does not answer.
func (m *machine) health() (h health) {
	d := m.node.Dispatcher()
	defer d.Close()
	if err := d.Call(soon(m.r.t), "GET", "/v3/health/", nil, &h); err != nil {
		return health{}
	}
	return h
}

// health is the part of the answer that is about the address.
type health struct {
	Status      string
	Role        string
	VirtualAddr struct{ Held bool } `json:"virtual_addr"`
	Cluster     []struct {
		Alive bool
		Role  string
	}
	Checks []struct {
		Name   string
		OK     bool
		Detail string
	}
}

// check is what a check says, and whether it is fine; a check that is not there is.
func (h health) check(name string) (detail string, ok bool) {
	for _, c := range h.Checks {
		if c.Name == name {
			return c.Detail, c.OK
		}
	}
	return "", true
}

// main is the node's process.
func (m *machine) main() int { return m.node.PID() }

// guard is the process that guards the address. It may just be replaced.
func (m *machine) guard() (pid int) {
	m.r.t.Helper()
	eventually(m.r.t, m.host.Name()+" has one guard", func() bool {
		pids := node.Children(m.main())
		if len(pids) == 1 {
			pid = pids[0]
		}
		return len(pids) == 1
	})
	return pid
}

// kill ends processes at once.
func (m *machine) kill(pids ...int) { m.signal(syscall.SIGKILL, pids...) }

// freeze has processes stand still until thaw, or until the test ends.
func (m *machine) freeze(pids ...int) {
	m.signal(syscall.SIGSTOP, pids...)
	m.r.t.Cleanup(func() {
		for _, pid := range pids {
			if m.runs(pid) {
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
		}
	})
}

// thaw lets processes go on; one may have been killed meanwhile.
func (m *machine) thaw(pids ...int) { m.signal(syscall.SIGCONT, pids...) }

func (m *machine) signal(s syscall.Signal, pids ...int) {
	m.r.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			m.r.t.Fatalf("%s: %s for process %d: %v", m.host.Name(), s, pid, err)
		}
	}
}

// runs tells whether a process is one of the product: process ids are used again.
func (m *machine) runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && (strings.Contains(string(text), "guard") || strings.Contains(string(text), m.config.DB))
}

// relaunch starts the node again after its process has ended.
func (m *machine) relaunch() {
	m.r.t.Helper()
	m.node.Kill() // waits for the end
	m.launch()
	m.competes()
}

// logs are what the runs of the node printed, the oldest first.
func (m *machine) logs() (list []string) {
	for _, n := range m.former {
		list = append(list, n.Log())
	}
	if m.node != nil {
		list = append(list, m.node.Log())
	}
	return list
}

// until waits for a moment.
func until(t time.Time) { time.Sleep(time.Until(t)) }
