package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// refusedAt checks that one more connection of a granted client is reset.
func (r *rig) refusedAt(g Grant) {
	r.t.Helper()
	c, err := dialFrom(g.Client.String(), netip.AddrPortFrom(r.addr, g.Port), patience)
	if err == nil {
		defer c.Close()
		err = endsWithin(r.t, c, prompt)
	}
	if !isReset(err) {
		r.t.Errorf("got %v for a connection over the limit, want a reset", err)
	}
}

func TestChannelLimit(t *testing.T) {
	for _, tt := range []struct {
		protocol Protocol
		asked    int
		want     int
	}{{"vnc", 0, 1}, {"rdp", 0, 2}, {"tcp", 0, 4}, {"loudplay", 0, 4}, {"", 0, 4}, {"vnc", 3, 3}, {"spice", 0, 32}} {
		t.Run(fmt.Sprintf("%s asking for %d", tt.protocol, tt.asked), func(t *testing.T) {
			r, vm := newRig(t), newEcho(t)
			g := r.granted("127.0.0.5", vm.addr, channels(tt.asked), func(q *OpenRequest) { q.Protocol = tt.protocol })
			var open []*net.TCPConn
			for i := range tt.want {
				c := r.enter(g)
				says(t, c, fmt.Sprint("channel ", i))
				open = append(open, c)
			}
			r.refusedAt(g)
			if now, _ := r.the(g.ID); now.Channels != tt.want {
				t.Errorf("got %d channels, want %d", now.Channels, tt.want)
			}
			for i, c := range open {
				says(t, c, fmt.Sprint("still ", i))
			}
			open[0].Close()
			eventually(t, "a channel given back", func() bool { now, _ := r.the(g.ID); return now.Channels == tt.want-1 })
			says(t, r.enter(g), "in its place")
		})
	}
}

func TestReconnectAfterAskingAgainReplacesTheOldest(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	ask := func() Grant { return r.granted("127.0.0.5", vm.addr, as("ada"), channels(2)) }
	first := ask()
	oldest := r.enter(first)
	says(t, oldest, "oldest") // several loops accept: who is not in yet may be overtaken
	older := r.enter(first)
	says(t, older, "older")
	again := ask()
	if !again.Reopened || again.ID != first.ID || again.Port != first.Port || again.Token == first.Token {
		t.Fatalf("got %+v, want the same connection with a fresh token", again)
	}
	says(t, oldest, "sessions stay")
	newest := r.enter(again)
	says(t, newest, "newest")
	if err := endsWithin(t, oldest, prompt); !isReset(err) {
		t.Errorf("got %v for the oldest, want a reset", err)
	}
	says(t, older, "older stays")
	says(t, r.enter(again), "another")
	if err := endsWithin(t, older, prompt); !isReset(err) {
		t.Errorf("got %v for the second oldest, want a reset", err)
	}
	r.refusedAt(again) // those from after it asked stay
	says(t, newest, "newest stays")
}

// A viewer whose network died asks again: its session ends as replaced, and
// the next is a session of its own.
func TestReplacedSessionIsAudited(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	ask := func() Grant {
		return r.granted("127.0.0.5", vm.addr, as("ada"), func(q *OpenRequest) { q.Protocol = "vnc" })
	}
	says(t, r.enter(ask()), "first")
	g := ask()
	c := r.enter(g)
	says(t, c, "second one")
	c.Close()
	eventually(t, "two sessions told of", func() bool { return r.audit.count(EventClose) == 2 })
	var got []string
	for _, e := range r.audit.of(g.ID) {
		if e.Kind == EventClose {
			got = append(got, fmt.Sprint(e.Reason, " ", e.BytesUp))
		}
	}
	slices.Sort(got)
	if want := []string{"client_closed 10", "replaced 5"}; !slices.Equal(got, want) {
		t.Errorf("got closes %v, want %v", got, want)
	}
	if got := r.audit.count(EventOpen); got != 2 {
		t.Errorf("got %d opens, want 2", got)
	}
}

// Its other channels keep the session: its timers go on, and it is told of
// once.
func TestReplacingOneOfTwoChannelsKeepsTheSession(t *testing.T) {
	r, vm := newRig(t), newEcho(t)
	ask := func() Grant { return r.granted("127.0.0.5", vm.addr, as("ada"), channels(2)) }
	g := ask()
	oldest := r.enter(g)
	says(t, oldest, "oldest")
	older := r.enter(g)
	says(t, older, "older")
	before, _ := r.the(g.ID)
	ask()
	vm.listener.Close() // what comes now does not reach it
	c, err := dialFrom("127.0.0.5", netip.AddrPortFrom(r.addr, g.Port), patience)
	if err == nil {
		defer c.Close()
		err = endsWithin(t, c, prompt)
	}
	if !isReset(err) {
		t.Errorf("got %v while the VM is away, want a reset", err)
	}
	_ = endsWithin(t, oldest, prompt)
	says(t, older, "older stays")
	now, _ := r.the(g.ID)
	if now.State != StateActive || now.Channels != 1 || !now.ConnectedAt.Equal(before.ConnectedAt) {
		t.Errorf("got %+v, want the session of %+v with one channel", now, before)
	}
	older.Close()
	eventually(t, "the session's close", func() bool { return r.audit.count(EventClose) == 1 })
	if got := r.audit.count(EventOpen); got != 1 {
		t.Errorf("got %d opens, want 1", got)
	}
}

func TestMaximumHoldsAfterAReplacedChannel(t *testing.T) {
	t.Parallel()
	r, vm := newRig(t, func(c *Config) { c.Timeouts.SessionMax = 2 * time.Second }), newEcho(t)
	ask := func() Grant { return r.granted("127.0.0.5", vm.addr, as("ada"), channels(2)) }
	g := ask()
	oldest := r.enter(g)
	says(t, oldest, "oldest")
	older := r.enter(g)
	says(t, older, "older")
	ask()
	vm.listener.Close()
	r.refusedAt(g)
	if err := endsWithin(t, older, patience); !isReset(err) {
		t.Errorf("got %v, want a reset when the session's time is over", err)
	}
	eventually(t, "the close", func() bool {
		return slices.ContainsFunc(r.audit.of(g.ID), func(e Event) bool { return e.Kind == EventClose && e.Reason == ReasonMaxTime })
	})
}
