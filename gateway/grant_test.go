package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway/relay"
)

// use admits a channel and lets it reach the VM.
func use(t *testing.T, g *grant, now time.Time) *channel {
	t.Helper()
	ch, _, err := g.admit(now)
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	ch.begin(now)
	return ch
}

func lasting(ttl time.Duration) *grant {
	g := &grant{id: "g", ttl: ttl, limit: 2}
	g.extend(noon)
	return g
}

func TestExpiry(t *testing.T) {
	const ttl = 30 * time.Second
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		name string
		life func(*grant)
		end  int // seconds after noon
	}{
		{"unused", func(*grant) {}, 30},
		{"renewed", func(g *grant) { g.extend(at(20)) }, 50},
		{"after its channel", func(g *grant) { use(t, g, at(10)).finish(relay.Result{}, at(100)) }, 130},
		{"after the last of two", func(g *grant) {
			a, b := use(t, g, at(10)), use(t, g, at(11))
			a.finish(relay.Result{}, at(100))
			b.finish(relay.Result{}, at(200))
		}, 230},
		{"the VM was away", func(g *grant) {
			ch, _, err := g.admit(at(10))
			if err != nil {
				t.Fatal(err)
			}
			ch.finish(relay.Result{}, at(13))
		}, 30},
		{"the VM was away on the reconnect", func(g *grant) {
			use(t, g, at(10)).finish(relay.Result{}, at(20))
			ch, _, _ := g.admit(at(40))
			ch.finish(relay.Result{}, at(43))
		}, 73},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := lasting(ttl)
			tt.life(g)
			if g.expired(at(tt.end).Add(-1)) {
				t.Errorf("got it expired before %d s", tt.end)
			}
			if !g.expired(at(tt.end)) {
				t.Errorf("got it alive at %d s", tt.end)
			}
			if _, _, err := g.admit(at(tt.end)); !errors.Is(err, ErrExpired) {
				t.Errorf("got %v from an expired grant, want that said", err)
			}
		})
	}
}

func TestNoExpiryWhileInUseNorWithoutTTL(t *testing.T) {
	used, eternal := lasting(time.Second), lasting(0)
	use(t, used, noon)
	for _, g := range []*grant{used, eternal} {
		if g.expired(noon.Add(1000 * time.Hour)) {
			t.Errorf("got %+v expired", g)
		}
	}
	if got := used.expiry(noon.Add(time.Hour)); !got.Equal(noon.Add(time.Hour + time.Second)) {
		t.Errorf("got %s for a grant in use, want its ttl from now", got)
	}
	if got := eternal.expiry(noon); !got.IsZero() {
		t.Errorf("got %s for a grant without ttl, want never", got)
	}
}

func TestAdmit(t *testing.T) {
	g := lasting(time.Minute)
	first, second := use(t, g, noon), use(t, g, noon)
	if _, _, err := g.admit(noon); !errors.Is(err, ErrUsed) {
		t.Fatalf("got %v over the limit, want all used", err)
	}
	second.replaceable = true // as if asked again, after first had gone
	third, victim, err := g.admit(noon)
	if err != nil || victim != second {
		t.Fatalf("got victim %p (%v), want the replaceable one", victim, err)
	}
	if g.session == nil || first.session != g.session {
		t.Error("the session of the other channel ended")
	}
	if third.begin(noon) {
		t.Error("the new channel began a session of its own")
	}
	if s := victim.finish(relay.Result{Up: 1}, noon); s != nil {
		t.Error("the victim ended the session")
	}
	if s := first.finish(relay.Result{Up: 2}, noon); s != nil {
		t.Error("the first of two ended the session")
	}
	if s := third.finish(relay.Result{Up: 4}, noon); s == nil || s.up != 7 || g.up != 7 || g.session != nil {
		t.Errorf("got %+v, want the session's end with 7 bytes", s)
	}
	g.ended = true
	if _, _, err := g.admit(noon); !errors.Is(err, ErrExpired) {
		t.Errorf("got %v from an ended grant, want that said", err)
	}
}

func TestReplacingTheOnlyChannelBeginsAnew(t *testing.T) {
	g := lasting(time.Minute)
	g.limit = 1
	old := use(t, g, noon)
	old.replaceable = true
	ch, victim, err := g.admit(noon.Add(time.Second))
	if err != nil || victim != old {
		t.Fatalf("got victim %p (%v), want the only one", victim, err)
	}
	if !ch.begin(noon.Add(time.Second)) {
		t.Error("the new channel went on with the replaced session")
	}
	if s := old.finish(relay.Result{Up: 1}, noon.Add(2*time.Second)); s == nil || s.up != 1 || g.session == nil || g.state() != StateActive {
		t.Errorf("got %+v, want the replaced session's end and the new one going on", s)
	}
}

func TestOverstays(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		idle, most int
		used       int // last byte of an earlier channel, in seconds after noon
		now        int
		want       relay.Reason
	}{
		{0, 0, 0, 100000, ""},
		{10, 0, 0, 9, ""},
		{10, 0, 0, 10, ReasonIdle},
		{10, 0, 5, 14, ""},
		{10, 0, 5, 15, ReasonIdle},
		{0, 60, 59, 59, ""},
		{0, 60, 59, 60, ReasonMaxTime},
		{10, 60, 0, 60, ReasonMaxTime},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			g := lasting(time.Minute)
			if got := overstays(g, at(tt.now)); got != "" {
				t.Errorf("got %q without a session", got)
			}
			g.timeouts = Timeouts{Idle: time.Duration(tt.idle) * time.Second, SessionMax: time.Duration(tt.most) * time.Second}
			use(t, g, noon)
			g.used = at(tt.used)
			if got := overstays(g, at(tt.now)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretsHideThemselves(t *testing.T) {
	s, hash := newSecret()
	if len(s.Reveal()) != 43 || s.hash() != hash {
		t.Errorf("got %d characters, want 43 that hash to what is kept", len(s.Reveal()))
	}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x"} {
		if got := fmt.Sprintf(verb, struct{ S Secret }{s}); strings.Contains(got, s.Reveal()) {
			t.Errorf("got %s printed by %s", got, verb)
		}
	}
	if g := (&grant{token: hash}); !g.owns(s) || g.owns("another") {
		t.Error("a grant does not know its token")
	}
}
