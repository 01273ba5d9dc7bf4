package vrrp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A story is told in lines "WHEN EVENT | STATE". WHEN is counted from the beginning.
// The state is the role, what is sent and announced, and when the timer of the role
// ends, rounded to milliseconds; "..." leaves the rest open.
type story struct {
	name string
	e    election
	text string
}

func (s story) tell(t *testing.T) {
	t.Helper()
	begin := time.Unix(1_000_000, 0)
	m := newMachine(s.e, "not started", begin)
	for line := range strings.Lines(s.text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		happens, want, _ := strings.Cut(line, " | ")
		words := strings.Fields(happens)
		after, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		now := begin.Add(after)
		var out output
		m, out = event(t, m, words[1:], now)
		got := describe(m, out, begin)
		want, open := strings.CutSuffix(strings.TrimSpace(want), " ...")
		if got != want && !(open && strings.HasPrefix(got, want)) {
			t.Fatalf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}

// event is one step: a word, and for heard the priority, then perhaps "from ADDR" and
// "every INTERVAL".
func event(t *testing.T, m machine, words []string, now time.Time) (machine, output) {
	t.Helper()
	switch words[0] {
	case "start":
		return m.start("", now)
	case "stop":
		return m.stop("", now)
	case "yield":
		return m.yield("", now)
	case "vanish":
		return m.vanish("", now), output{}
	case "held":
		return m.holds(now).expire(now)
	case "lost":
		return m.lost(now), output{}
	case "expire":
		return m.expire(now)
	case "paused":
		gap, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		return m.paused(gap, now)
	case "heard":
		return heardEvent(t, m, words[1:], now)
	case "config":
		e := m.election
		p, err := strconv.Atoi(words[1])
		if err != nil {
			t.Fatal(err)
		}
		e.priority = uint8(p)
		return m.reconfigured(e, now)
	}
	t.Fatalf("unknown event %q", words)
	return m, output{}
}

func heardEvent(t *testing.T, m machine, words []string, now time.Time) (machine, output) {
	t.Helper()
	p, err := strconv.Atoi(words[0])
	if err != nil {
		t.Fatal(err)
	}
	a, from := Advertisement{Version: m.version, Priority: uint8(p), Interval: m.interval}, netip.MustParseAddr("10.0.0.9")
	for i := 1; i+1 < len(words); i += 2 {
		switch words[i] {
		case "from":
			from = netip.MustParseAddr(words[i+1])
		case "every":
			if a.Interval, err = time.ParseDuration(words[i+1]); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("unknown word %q", words[i])
		}
	}
	return m.heard(a, from, now)
}

func describe(m machine, out output, begin time.Time) string {
	text := string(m.role)
	if m.leaving != staying {
		text += " leaving"
	}
	for _, p := range out.adverts {
		text += fmt.Sprintf(" sends %d", p)
	}
	if out.announce {
		text += " announces"
	}
	if !m.due.IsZero() {
		text += " due " + m.due.Sub(begin).Round(time.Millisecond).String()
	}
	return text
}
