package gateway

import (
	"context"
	"errors"
	"slices"

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
	var ends []func()
	g.mu.Lock()
	for _, id := range ids {
		if gr := g.reg.grants[id]; gr != nil {
			ends = append(ends, g.revoke(gr, ReasonAdmin, detail))
			ended = append(ended, id)
		}
	}
	g.mu.Unlock()
	for _, end := range ends {
		end()
	}
	return ended
}

// revoke takes a grant out for good. The caller holds the lock, and calls the
// returned func after letting it go.
func (g *Gateway) revoke(gr *grant, why relay.Reason, detail string) func() {
	g.reg.remove(gr)
	gr.detail = detail
	return g.closing(gr, why)
}

// closing closes the port of a grant that is out of the registry and ends its
// channels; to be called like revoke's.
func (g *Gateway) closing(gr *grant, why relay.Reason) func() {
	cut := gr.cut(why)
	return func() {
		if gr.mode == ModePort {
			g.ports.revoke(gr.port, gr.client)
		}
		cut()
	}
}

// cut ends all channels of a grant; to be called like revoke's.
func (gr *grant) cut(why relay.Reason) func() {
	channels := slices.Clone(gr.channels)
	return func() {
		for _, ch := range channels {
			ch.kill(why)
		}
	}
}
