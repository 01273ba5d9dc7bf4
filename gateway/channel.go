package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"vdi-gateway/gateway/relay"
)

// channel is one connection of a session, from the moment it is admitted.
type channel struct {
	grant    *grant
	opened   time.Time
	timeouts Timeouts
	desktop  Desktop

	// The Gateway's lock guards these.
	session     *session // nil while the VM is being dialled
	replaceable bool     // admitted before the client asked again

	mu     sync.Mutex
	pair   relay.Pair   // nil until the relay knows it
	doomed relay.Reason // it was killed before that
	cancel func()       // ends a dial the relay knows nothing of; may be nil
}

// kill ends the channel whatever it is doing.
func (ch *channel) kill(why relay.Reason) {
	ch.mu.Lock()
	pair, cancel := ch.pair, ch.cancel
	if ch.doomed == "" {
		ch.doomed = why
	}
	ch.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if pair != nil {
		pair.Kill(why)
	}
}

// living is a context that ends when the channel is killed.
func (ch *channel) living(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.cancel = cancel
	if ch.doomed != "" {
		cancel()
	}
	return ctx, cancel
}

// fate is what a channel ends for that was not joined because of err.
func (ch *channel) fate(err error) relay.Reason {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.doomed != "" {
		return ch.doomed
	}
	return blame(err)
}

// unwanted tells whether the channel was killed.
func (ch *channel) unwanted() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.doomed != ""
}

// belongs notes the pair, or ends it when the channel was killed meanwhile.
func (ch *channel) belongs(pair relay.Pair) {
	ch.mu.Lock()
	ch.pair = pair
	why := ch.doomed
	ch.mu.Unlock()
	if why != "" {
		pair.Kill(why)
	}
}

// stats are live figures; zero while the VM is being dialled.
func (ch *channel) stats() relay.Stats {
	ch.mu.Lock()
	pair := ch.pair
	ch.mu.Unlock()
	if pair == nil {
		return relay.Stats{}
	}
	return pair.Stats()
}

// bytes are those moved so far.
func (ch *channel) bytes() (up, down int64) {
	ch.mu.Lock()
	pair := ch.pair
	ch.mu.Unlock()
	if pair == nil {
		return 0, 0
	}
	return pair.Bytes()
}

// begin counts the channel to the running session, or to a new one; it tells
// whether the session is new.
func (ch *channel) begin(now time.Time) bool {
	g := ch.grant
	fresh := g.session == nil
	if fresh {
		g.session = &session{since: now}
		g.first = now
	}
	if most := g.timeouts.SessionMax; most > 0 && g.returns() && g.until.IsZero() {
		g.until = g.session.since.Add(most)
	}
	ch.session = g.session
	ch.session.open++
	return fresh
}

// finish takes an ended channel out and returns the session if it was its
// last channel.
func (ch *channel) finish(res relay.Result, now time.Time) *session {
	g, s := ch.grant, ch.session
	g.channels = slices.DeleteFunc(g.channels, func(c *channel) bool { return c == ch })
	g.up, g.down = g.up+res.Up, g.down+res.Down
	if s != nil {
		g.used = now
	}
	if len(g.channels) == 0 {
		g.settle(now)
	}
	if s == nil {
		return nil
	}
	s.up, s.down = s.up+res.Up, s.down+res.Down
	if s.open--; s.open > 0 {
		return nil
	}
	if g.session == s {
		g.session = nil
	}
	return s
}
