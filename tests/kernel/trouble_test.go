package kernel

import "syscall"

// trouble is something that happens to the active node. It returns what brings the node
// back, as a backup.
type trouble struct {
	name  string
	does  func(*machine) (undo func())
	quick bool // in the quick selection
}

func troubles() []trouble {
	return []trouble{
		{"power-off", powerOff, true},
		{"both links are cut", cutOff, true},
		{"daemon and guard are killed", killAll, true},
		{"the daemon is killed", killDaemon, true},
		{"daemon and guard stand still", freezeAll, false},
		{"the daemon stands still", freezeDaemon, false},
		{"graceful failover", handOver, true},
		{"the daemon is stopped", stopDaemon, true},
	}
}

// powerOff takes the node from the network before anything on it can react; it comes back
// as after a boot.
func powerOff(m *machine) func() {
	m.cut()
	guard := m.guard()
	m.signal(syscall.SIGSTOP, m.node.PID()) // or it would start another guard
	m.signal(syscall.SIGKILL, guard, m.node.PID())
	return func() {
		m.node.Kill() // waits for the end
		m.dropAddresses()
		m.blank()
		m.mend()
		m.launch()
		m.ready()
	}
}

// cutOff is the same for everybody else; the node comes back with all it knew.
func cutOff(m *machine) func() {
	m.cut()
	return func() {
		m.mend()
		m.ready()
	}
}

// killAll leaves to the kernel what to do with the addresses.
func killAll(m *machine) func() {
	guard := m.guard()
	m.signal(syscall.SIGSTOP, m.node.PID())
	m.signal(syscall.SIGKILL, guard, m.node.PID())
	return m.relaunch
}

func killDaemon(m *machine) func() {
	m.signal(syscall.SIGKILL, m.node.PID())
	return m.relaunch
}

func stopDaemon(m *machine) func() {
	m.r.try(m.node.Stop())
	return m.relaunch
}

func freezeAll(m *machine) func() { return m.freeze(m.pids()...) }

func freezeDaemon(m *machine) func() { return m.freeze(m.node.PID()) }

func (m *machine) freeze(pids ...int) func() {
	m.signal(syscall.SIGSTOP, pids...)
	m.r.t.Cleanup(func() { m.signal(syscall.SIGCONT, pids...) })
	return func() {
		m.signal(syscall.SIGCONT, pids...)
		m.ready()
	}
}

func handOver(m *machine) func() {
	m.failover()
	return func() {}
}

// relaunch starts the node again after its process has ended.
func (m *machine) relaunch() {
	m.r.t.Helper()
	m.node.Kill() // waits for the end
	m.launch()
	m.ready()
}
