package gateway

import (
	"crypto/sha256"
	"net/netip"
)

// awaits has a page be known by either of two tokens when it comes back; zeros are none.
func (r *registry) awaits(g *grant, fresh, former [sha256.Size]byte) {
	r.dropResumes(g)
	g.resumes = [2][sha256.Size]byte{fresh, former}
	for _, h := range g.resumes {
		if h != [sha256.Size]byte{} {
			r.resumes[h] = g
		}
	}
}

// dropResumes has the tokens of the grant lead nowhere; the grant keeps them.
func (r *registry) dropResumes(g *grant) {
	for _, h := range g.resumes {
		if r.resumes[h] == g {
			delete(r.resumes, h)
		}
	}
}

// known is the grant of a token, be it to attach or to resume; nil: there is none.
func (r *registry) known(token Secret) *grant {
	h := token.hash()
	if g := r.tokens[h]; g != nil {
		return g
	}
	return r.resumes[h]
}

// rehome follows a page to another address.
func (r *registry) rehome(g *grant, client netip.Addr) {
	if g.client == client {
		return
	}
	r.leave(g)
	g.client, g.key.client = client, client
	r.enter(g)
}

// seat counts the grant among those at its desktop.
func (r *registry) seat(g *grant) {
	if !g.viewing() {
		return
	}
	for _, d := range g.target.addrs {
		if r.desks[d] == nil {
			r.desks[d] = map[*grant]struct{}{}
		}
		r.desks[d][g] = struct{}{}
	}
}

// unseat undoes seat.
func (r *registry) unseat(g *grant) {
	for _, d := range g.target.addrs {
		delete(r.desks[d], g)
		if len(r.desks[d]) == 0 {
			delete(r.desks, d)
		}
	}
}
