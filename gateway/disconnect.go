package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/relay"
)

// Disconnect ends the selected grants with their sessions, both legs at once,
// and revokes the tickets of the same selection. detail is the dispatcher's
// reason, for the journal. It returns what was ended and which of s.IDs do not
// exist; an error is about the tickets.
func (g *Gateway) Disconnect(ctx context.Context, s Selector, detail string) (ended, missing []ConnectionID, err error) {
	if !s.one() {
		return nil, nil, refuse(ErrInvalid, "exactly one selector is needed")
	}
	if s.IDs == nil && g.deps.Tickets != nil {
		// Tickets first, so that none of them opens what is being ended.
		if _, err = g.deps.Tickets.Revoke(ctx, s); err != nil {
			err = errors.Join(errors.New("tickets could not be revoked"), err)
		}
	}
	ids, missing := g.selected(s)
	ended = g.endAll(ids, detail)
	g.deps.Log.WithFields(logrus.Fields{"count": len(ended), "detail": detail}).Info("connections ended by the dispatcher")
	return ended, missing, err
}

func (s Selector) one() bool {
	n := 0
	for _, set := range []bool{s.IDs != nil, s.User != nil, s.VMAddr != nil, s.Client.IsValid(), s.All} {
		if set {
			n++
		}
	}
	return n == 1
}

func (g *Gateway) selected(s Selector) (ids, missing []ConnectionID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range s.IDs {
		if g.reg.grants[id] == nil {
			missing = append(missing, id)
		} else if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if s.IDs != nil {
		return ids, missing
	}
	for _, gr := range g.reg.sorted() {
		if s.matches(gr) {
			ids = append(ids, gr.id)
		}
	}
	return ids, nil
}

func (s Selector) matches(gr *grant) bool {
	switch {
	case s.All:
		return true
	case s.User != nil:
		return gr.user == *s.User
	case s.VMAddr != nil:
		return gr.target.is(*s.VMAddr)
	default:
		return gr.client == plain(s.Client)
	}
}

// endAll revokes grants on the administrator's behalf and returns those that
// were still there.
func (g *Gateway) endAll(ids []ConnectionID, detail string) []ConnectionID {
	var ended []ConnectionID
	var ends []ending
	g.mu.Lock()
	for _, id := range ids {
		if gr := g.reg.grants[id]; gr != nil {
			ends = append(ends, g.revoke(gr, ReasonAdmin, detail))
			ended = append(ended, id)
		}
	}
	g.mu.Unlock()
	g.end(ends)
	return ended
}

// ending is what is left to do about a grant once the lock is let go: ending
// its channels and, when it is out of the registry, closing its port.
type ending struct {
	channels []*channel
	why      relay.Reason
	doors    []way
}

// revoke takes a grant out for good. The caller holds the lock, and passes the
// answer to end after letting it go.
func (g *Gateway) revoke(gr *grant, why relay.Reason, detail string) ending {
	g.reg.revoke(gr, time.Now())
	g.deps.Directory.Forget(gr.id)
	gr.detail = detail
	e := gr.cut(why)
	e.doors = gr.shut()
	return e
}

// cut ends all channels of a grant; to be called like revoke.
func (gr *grant) cut(why relay.Reason) ending {
	return ending{channels: slices.Clone(gr.channels), why: why}
}

// end ends sessions first: their grants are gone already, so nobody comes back
// by a port that closes a moment later.
func (g *Gateway) end(list []ending) {
	var doors []way
	for _, e := range list {
		for _, ch := range e.channels {
			ch.kill(e.why)
		}
		doors = append(doors, e.doors...)
	}
	g.ports.revoke(doors...)
}
