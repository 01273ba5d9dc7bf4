package relay

import (
	"testing"
	"time"
)

// A client as a vigil sees it, by a clock of the test's own.
func TestVigil(t *testing.T) {
	type look struct {
		at, heard int // seconds; 0: nothing was heard
		acked     uint64
		busy      bool
		want      verdict
	}
	for _, tt := range []struct {
		name  string
		looks []look
	}{
		{"one that answers", []look{{24, 0, 0, false, quiet}, {25, 0, 0, false, askIt}, {26, 26, 0, false, quiet}, {50, 26, 0, false, askIt}, {60, 51, 0, false, quiet}}},
		{"one that does not", []look{{25, 0, 0, false, askIt}, {34, 0, 0, false, quiet}, {35, 0, 0, false, lost}}},
		{"what it said before does not count", []look{{25, 25, 0, false, askIt}, {35, 25, 0, false, lost}}},
		{"one that takes data", []look{{25, 0, 10, true, askIt}, {35, 0, 11, true, quiet}, {59, 0, 20, true, quiet}, {60, 0, 20, true, askIt}, {70, 0, 21, true, quiet}}},
		{"one that took the last of it", []look{{25, 0, 10, true, askIt}, {35, 0, 11, false, quiet}, {60, 0, 11, false, askIt}, {70, 0, 11, false, lost}}},
		{"one that is sent data meanwhile", []look{{25, 0, 10, false, askIt}, {35, 0, 11, true, quiet}}},
		{"one that took the ping alone", []look{{25, 0, 10, false, askIt}, {35, 0, 12, false, lost}}},
		{"one that has stopped taking", []look{{25, 0, 10, true, askIt}, {35, 0, 10, true, lost}}},
		{"nobody looked for long", []look{{100, 0, 0, false, askIt}, {105, 0, 0, false, quiet}, {110, 0, 0, false, lost}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Unix(1000, 0)
			at := func(s int) time.Time {
				if s == 0 {
					return time.Time{}
				}
				return start.Add(time.Duration(s) * time.Second)
			}
			v := newVigil(Options{Ping: 25 * time.Second}, start)
			for _, l := range tt.looks {
				got := v.look(at(l.at), at(l.heard), func() (uint64, bool) { return l.acked, l.busy })
				if got != l.want {
					t.Errorf("after %d s: got %d, want %d", l.at, got, l.want)
				}
				if next := v.next(); got != lost && next.Before(start) {
					t.Errorf("after %d s: got %s as the next time", l.at, next)
				}
			}
		})
	}
}
