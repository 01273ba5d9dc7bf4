package vrrp

import (
	"syscall"
	"time"
)

// mishap is something that happens to a router, see trouble.
type mishap struct {
	name string
	does func(*pair, *router) (undo func())
	gone time.Duration // how long it may keep the addresses
	full bool          // in the full selection only
}

func mishaps() []mishap {
	relaunch := func(r *router) func() { return r.launch }
	return []mishap{
		{"the process is killed", func(_ *pair, r *router) func() {
			r.signal(syscall.SIGKILL, r.process.PID())
			return relaunch(r)
		}, goneTime, false},
		{"process and guard are killed", func(_ *pair, r *router) func() {
			r.perish()
			return relaunch(r)
		}, kernelTime, true},
		{"the process stands still", func(_ *pair, r *router) func() {
			pid := r.process.PID()
			r.signal(syscall.SIGSTOP, pid)
			return func() { r.signal(syscall.SIGCONT, pid) }
		}, goneTime, false},
		{"it is stopped", func(p *pair, r *router) func() {
			p.out.try(r.process.Stop())
			return relaunch(r)
		}, goneTime, false},
		{"the link inside is cut", func(p *pair, r *router) func() {
			p.out.try(r.in.Cut())
			return func() { p.out.try(r.in.Mend()) }
		}, goneTime, false},
		{"the interface inside is taken out", func(p *pair, r *router) func() {
			p.out.try(r.in.RemoveLink())
			return func() { p.out.try(r.in.AddLink()) }
		}, goneTime, false},
		{"the link outside is cut", func(p *pair, r *router) func() {
			p.out.try(r.out.Cut())
			return func() { p.out.try(r.out.Mend()) }
		}, goneTime, true},
	}
}

// perish ends a router and its guard at once: one that only stood still would start
// another guard.
func (r *router) perish() {
	guard := r.guard()
	r.signal(syscall.SIGSTOP, r.process.PID())
	r.signal(syscall.SIGKILL, guard, r.process.PID())
}
