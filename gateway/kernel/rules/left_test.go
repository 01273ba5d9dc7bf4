package rules

import (
	"io"
	"slices"
	"testing"
)

// A table is drained by whoever finds it: what lives goes on and can be ended, and the rest
// of the host's connections are none of its business any more.
func TestDrainedTable(t *testing.T) {
	need(t, "conntrack")
	for name, change := range map[string]func(*rig){"as it is": func(*rig) {}, "of another version": (*rig).otherVersion} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			d := newDesktop(r)
			r.relay(5901)
			r.apply()
			for _, f := range families() {
				limited := r.grant(r.client, f, 5901)
				limited.Limit = 2
				r.add(limited, relayed(r.other, f, 5902))
			}
			wanted := r.grants()
			sessions := map[int]*session{}
			for _, f := range families() {
				sessions[f] = r.mustOpen(r.client, f, 5901)
			}
			change(r)
			r.rules = New() // knows nothing of the config
			r.isLeft(wanted)
			r.here(r.rules.Drain)
			r.isLeft(nil)
			for _, f := range families() {
				r.lives("drained", sessions[f])
				r.mustRelay(r.client, f, 5901)
				r.mustRelay(r.other, f, 5901)
				vm := d.vmEnd(sessions[f])
				r.condemn(r.client.Addrs()[f])
				_, _ = io.WriteString(vm, "vm")
				eventually(t, "reset of the VM", func() bool { _, err := io.WriteString(vm, "."); return err != nil })
			}
			r.here(r.rules.Drain) // twice does no harm
			r.here(func() error { return r.rules.Apply(r.cfg, wanted...) })
			if got := r.grants(); !slices.Equal(got, wanted) {
				t.Errorf("after Apply: got %v, want %v", got, wanted)
			}
			r.mustOpen(r.client, 0, 5901)
			r.refused(r.other, 0, 5901)
		})
	}
}

// isLeft fails unless a table of our marks is left with these grants.
func (r *rig) isLeft(grants []Grant) {
	r.t.Helper()
	var left *Left
	r.here(func() (err error) { left, err = r.rules.Left(); return err })
	if left == nil || left.Mark != ourMark || left.Condemned != endMark || !slices.Equal(left.Grants, grants) {
		r.t.Errorf("got %+v, want our marks and %v", left, grants)
	}
}

func TestNoTableIsLeft(t *testing.T) {
	r := newRig(t)
	before := r.generation()
	r.here(r.rules.Drain)
	r.here(func() error {
		left, err := r.rules.Left()
		if left != nil {
			t.Errorf("got %+v, want nothing", left)
		}
		return err
	})
	if got := r.generation(); got != before {
		t.Errorf("got %d transactions, want none", got-before)
	}
}

// The first layout had no relayed grants.
func TestFormerLayoutIsReplaced(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	r.grantBoth(5901)
	s := r.mustOpen(r.client, 0, 5901)
	wanted, table := r.grants(), r.lines()
	r.nft(`flush chain inet vdi-gateway about; add rule inet vdi-gateway about return comment "layout 1, content 0123456789abcdef";
		flush chain inet vdi-gateway guard; flush chain inet vdi-gateway refuse;
		delete set inet vdi-gateway relayed4; delete set inet vdi-gateway relayed6`)
	r.rules = New()
	var got []Grant
	r.here(func() (err error) { got, err = r.rules.Adopt(); return err })
	if !slices.Equal(got, wanted) {
		t.Errorf("adopted: got %v, want %v", got, wanted)
	}
	r.apply()
	sameText(t, "the table", r.lines(), table)
	r.lives("replaced", s)
}
