package kernel

import (
	"errors"
	"testing"
	"time"
)

// reboot takes a host of VMs away without a word, and has another one come back under the
// same addresses: it knows nothing of the sessions.
func (v *vmHost) reboot(sessions []*session) error {
	err := v.Cut()
	v.stop()
	for _, s := range sessions {
		s.doomed = true
		_ = s.vm.conn.SetLinger(0) // what it says on closing reaches nobody
		s.vm.close()
	}
	return errors.Join(err, v.Mend(), v.serve())
}

// Sessions of a VM that boots end, with a reason that says so, as soon as their client says
// something; others do not notice.
func TestVMReboots(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	c := r.crowd(2 * int(manners) * people) // some on each VM
	c.goOn("begun")
	victim := r.vms[0]
	var ended []*session
	for _, s := range c.all {
		if s.host == victim {
			ended = append(ended, s)
		}
	}
	if len(ended) == 0 || len(ended) == len(c.all) {
		t.Fatalf("got %d of %d sessions on one VM, want some", len(ended), len(c.all))
	}
	r.try(victim.reboot(ended))
	for _, s := range ended {
		s.client.say() // who only watches moves the mouse at last
		if err := s.client.gone(patience); err != nil {
			t.Error(err)
		}
		r.closed(s, "vm_closed", "client_closed")
	}
	c.goOn("the sessions of the other VM")
	all := connections(t, r.nodes[0].api)
	for _, s := range ended {
		if l := all[s.tunnel.ID]; l.State == "active" {
			t.Errorf("%s: got %+v, want it to be over", s, l)
		}
	}
	again := &session{number: r.sessions, manner: bothTalk, from: ended[0].from, host: victim, tunnel: ended[0].tunnel}
	r.sessions++
	if err := r.enter(again); err != nil {
		t.Fatalf("the same tunnel to the VM that is back: %v", err)
	}
	c.all = append(c.all, again)
	c.goOn("reconnected")
	c.finish()
}

// A VM that shuts down says goodbye.
func TestVMShutsDown(t *testing.T) {
	parallel(t)
	r := newRig(t, shape{nodes: 2})
	c := r.crowd(int(manners))
	for _, s := range c.all {
		s.doomed = true
		began := time.Now()
		s.vm.close()
		if err := s.client.gone(ending); err != nil {
			t.Error(err)
		}
		s.client.close()
		r.closed(s, "vm_closed")
		t.Logf("%s: ended after %s", s, time.Since(began).Round(time.Millisecond))
	}
}
