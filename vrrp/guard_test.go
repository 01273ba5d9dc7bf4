package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

var guarded = []place{{Prefix: netip.MustParsePrefix("10.0.0.100/32"), On: "eth0", Index: 2}}

func (d deed) String() string { return [...]string{"nothing", "put", "remove", "give up"}[d] }

// What a guard does, step by step: an order or a tick at a time, and the deed.
func TestGuard(t *testing.T) {
	type step struct {
		at   time.Duration
		say  time.Duration // when the order was said; 0: a tick, -1: the last deed failed
		hold bool
		term uint64
		want deed
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"what a crash left is removed", []step{{1000 * ms, 1000 * ms, false, 0, remove}, {1030 * ms, 1030 * ms, false, 0, nothing}}},
		{"a guard that replaces another takes the addresses over", []step{{1000 * ms, 1000 * ms, true, 4, put}}},
		{"an order adds, time renews, an order removes", []step{
			{1000 * ms, 1000 * ms, true, 1, put},
			{1030 * ms, 1030 * ms, true, 1, nothing},
			{1100 * ms, 1100 * ms, true, 1, nothing},
			{1199 * ms, 0, false, 0, nothing},
			{1200 * ms, 0, false, 0, put},
			{1210 * ms, 0, false, 0, nothing},
			{1220 * ms, 1220 * ms, false, 1, remove},
			{1230 * ms, 0, false, 0, nothing},
		}},
		{"silence makes it give up, and what was said in that term does not bring it back", []step{
			{1000 * ms, 1000 * ms, true, 1, put},
			{1149 * ms, 0, false, 0, nothing},
			{1150 * ms, 0, false, 0, giveUp},
			{1200 * ms, 1200 * ms, true, 1, nothing},
			{1210 * ms, 0, false, 0, nothing},
			{1300 * ms, 1300 * ms, true, 2, put},
		}},
		{"orders that waited in the pipe are no sign of life", []step{
			{1000 * ms, 1000 * ms, true, 1, put},
			{9000 * ms, 1030 * ms, true, 1, nothing},
			{9000 * ms, 0, false, 0, giveUp},
		}},
		{"those that are young are, however late they are read", []step{
			{1000 * ms, 1000 * ms, true, 1, put},
			{1160 * ms, 1140 * ms, true, 1, nothing},
			{1160 * ms, 0, false, 0, nothing},
		}},
		{"a removal that failed is made again", []step{
			{1000 * ms, 1000 * ms, true, 1, put},
			{1020 * ms, 1020 * ms, false, 1, remove},
			{1021 * ms, -1, false, 0, nothing}, // it failed
			{1050 * ms, 1050 * ms, false, 1, remove},
			{1080 * ms, 1080 * ms, false, 1, nothing},
		}},
		{"an old order does not add", []step{{1000 * ms, 500 * ms, true, 1, nothing}, {1001 * ms, 0, false, 0, nothing}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w ward
			for i, s := range tt.steps {
				var got deed
				switch s.say {
				case 0:
					w, got = w.tick(s.at)
				case -1:
					w.dirty = true
				default:
					w, got = w.obey(order{Term: s.term, Hold: s.hold, Places: guarded, On: "eth0", At: s.say, Silence: silenceMax}, s.at)
					w.dirty = false // it worked
				}
				if got != s.want {
					t.Fatalf("step %d at %s: got %s, want %s", i, s.at, got, s.want)
				}
			}
		})
	}
}

func TestGuardWhenTheProcessEnds(t *testing.T) {
	var w ward
	if _, got := w.abandoned(); got != nothing {
		t.Errorf("without addresses: got %s, want nothing", got)
	}
	w, _ = w.obey(order{Term: 1, Hold: true, Places: guarded, At: time.Second, Silence: silenceMax}, time.Second)
	if _, got := w.abandoned(); got != giveUp {
		t.Errorf("with addresses: got %s, want give up", got)
	}
}
