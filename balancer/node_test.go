package balancer

import (
	"net/netip"
	"testing"
	"time"
)

// A story: p passes, f fails, x is lost by the membership, P is a pass while it
// is lost. The second line is what is up after each step.
func TestHealth(t *testing.T) {
	for _, tt := range []struct{ name, story, want string }{
		{"the first result decides", "p", "+"},
		{"the first failure, too", "f", "-"},
		{"two passes", "fpp", "--+"},
		{"passes in a row", "fpfpp", "----+"},
		{"three failures", "pfff", "+++-"},
		{"failures in a row", "pffpfff", "++++++-"},
		{"lost is down at once", "px", "+-"},
		{"lost and back: rises", "pxpp", "+--+"},
		{"lost starts the rise anew", "fpxpp", "----+"},
		{"a pass while lost counts nothing", "pxPPPpp", "+-----+"},
		{"lost before the first result", "xp", "-+"},
		{"flapping never comes up", "fpfpfpfpf", "---------"},
		{"flapping never goes down", "pffpffpffp", "++++++++++"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h health
			got := ""
			for i, step := range tt.story {
				now := longAgo.Add(time.Duration(i) * time.Second)
				switch step {
				case 'x':
					h = h.gone(now)
				default:
					h = h.checked(step != 'f', step != 'P', now)
				}
				got += map[bool]string{true: "+", false: "-"}[h.up]
				if i > 0 && got[i] != got[i-1] && !h.since.Equal(now) {
					t.Errorf("since is %v after step %d, want the time of the change", h.since, i)
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestState(t *testing.T) {
	up := health{known: true, up: true}
	for want, n := range map[State]node{
		StateUnknown:  {member: Member{Ready: true}},
		StateDown:     {health: health{known: true}, member: Member{Ready: true, Draining: true}},
		StateDraining: {health: up, member: Member{Draining: true}},
		StateNotReady: {health: up},
		StateUp:       {health: up, member: Member{Ready: true}},
	} {
		if got := n.state(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	now := longAgo
	var l load
	expect := func(want int, what string) {
		t.Helper()
		if got := l.at(now).total(); got != want {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	l = l.reported(10, now)
	for range 5 {
		l = l.opened()
	}
	expect(15, "five are open")
	l = l.missed()
	expect(14, "one was never reached")
	l = l.closed(now).closed(now)
	expect(14, "two ended, their grants are not reported")
	now = now.Add(time.Second)
	l = l.closed(now)
	l = l.reported(12, now)
	expect(14, "the report has grown by the first two")
	l = l.reported(11, now)
	expect(13, "a grant ended")
	now = now.Add(linger - time.Millisecond)
	expect(13, "the third is remembered")
	now = now.Add(time.Millisecond)
	expect(12, "and then forgotten")
	l = l.at(now).closed(now.Add(-time.Hour))
	now = now.Add(-time.Hour)
	expect(12, "a clock that goes back loses nobody")
	now = now.Add(2 * time.Hour)
	expect(11, "all that ended is forgotten")
}

func TestSources(t *testing.T) {
	const ttl = 100 * time.Second
	p := addr("10.1.2.3")
	a, b := addr("10.0.0.1"), addr("10.0.0.2")
	net, _ := p.Prefix(32)
	s := sources{written: map[netip.Prefix]note{}}
	now := longAgo
	for _, tt := range []struct {
		name        string
		after       time.Duration
		node, known netip.Addr
		ttl         time.Duration
		want        bool
	}{
		{"nothing is kept", 0, a, netip.Addr{}, 0, false},
		{"new", 0, a, netip.Addr{}, ttl, true},
		{"used again", ttl/10 - 1, a, a, ttl, false},
		{"the directory has lost it", 0, a, netip.Addr{}, ttl, true},
		{"used later", ttl / 10, a, a, ttl, true},
		{"moved", 0, b, a, ttl, true},
		{"another node moved it", 0, b, a, ttl, true},
	} {
		now = now.Add(tt.after)
		if got := s.due(net, tt.node, tt.known, tt.ttl, now); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSourcesAreBounded(t *testing.T) {
	s := sources{written: map[netip.Prefix]note{}}
	a, client := addr("10.0.0.1"), addr("2001:db8::")
	const ttl = 100 * time.Second
	due := 0
	for range sourcesMax + 100 {
		client = client.Next()
		source, _ := client.Prefix(128)
		if s.due(source, a, netip.Addr{}, ttl, longAgo) {
			due++
		}
	}
	if due != sourcesMax {
		t.Errorf("%d entries were written, want %d", due, sourcesMax)
	}
	s.forget(ttl, longAgo.Add(forgetEvery))
	if len(s.written) != 0 {
		t.Errorf("%d notes are kept, want none", len(s.written))
	}
}
