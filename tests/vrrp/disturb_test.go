package vrrp

// What may happen to a node. Each returns what undoes it.

func killMain(m *machine) func() {
	m.kill(m.main())
	return m.relaunch
}

// killGuard needs no undoing: the process starts another guard.
func killGuard(m *machine) func() {
	m.kill(m.guard())
	return func() {}
}

// killBoth has the process stand still before its guard dies, or it would start another.
func killBoth(m *machine) func() {
	guard := m.guard()
	m.freeze(m.main())
	m.kill(guard, m.main())
	return m.relaunch
}

func freezeMain(m *machine) func() { return frozen(m, m.main()) }

func freezeGuard(m *machine) func() { return frozen(m, m.guard()) }

func freezeBoth(m *machine) func() { return frozen(m, m.guard(), m.main()) }

func frozen(m *machine, pids ...int) func() {
	m.freeze(pids...)
	return func() { m.thaw(pids...) }
}

func cutLink(m *machine) func() {
	m.r.try(m.host.Cut())
	return func() { m.r.try(m.host.Mend()) }
}

func removeLink(m *machine) func() {
	m.r.try(m.host.RemoveLink())
	return func() { m.r.try(m.host.AddLink()) }
}

func unplug(m *machine) func() {
	m.r.try(m.host.Unplug())
	return func() { m.r.try(m.host.Plug()) }
}

func mute(m *machine) func() {
	m.r.try(m.host.Mute("ip protocol 112", "ip6 nexthdr 112"))
	return func() { m.r.try(m.host.Unmute()) }
}
