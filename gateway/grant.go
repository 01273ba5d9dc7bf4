package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"slices"
	"time"

	"vdi-gateway/gateway/relay"
)

// Reasons a session ends for, beside those the relay finds.
const (
	ReasonIdle          relay.Reason = "idle"
	ReasonMaxTime       relay.Reason = "max_time"
	ReasonAdmin         relay.Reason = "admin"
	ReasonReplaced      relay.Reason = "replaced"
	ReasonVMUnreachable relay.Reason = "vm_unreachable"
	ReasonNotAdmitted   relay.Reason = "not_admitted" // the viewer failed in the security of RFB
)

// grant is a reserved tunnel and the session that may be using it. The
// Gateway's lock guards all of it.
type grant struct {
	// Set when it is made, or learnt from another node.
	id       ConnectionID
	key      reopenKey
	client   netip.Addr
	target   target
	user     string
	verified bool // user comes from a ticket, not from the client
	vmID     string
	protocol Protocol
	mode     Mode
	node     netip.Addr // its owner
	openedAt time.Time
	timeouts Timeouts // a session keeps what it started with
	port     uint16   // 0 in ModeWebSocket; changes while it is being reserved, or when another grant has it
	remote   bool     // of another node: known here, not served
	door     way      // open here on its behalf
	steered  bool     // the kernel brings its client to the VM, where it can
	value    []byte   // remote: of the record that told of it

	// Changed when the client asks for it again.
	token    [sha256.Size]byte
	attached bool // the token has been spent on an attach
	ttl      time.Duration
	limit    int // channels
	desktop  Desktop
	passcode passcode
	bound    bool                 // to its client, whatever the mode
	resumes  [2][sha256.Size]byte // by which its page comes back: see registry.awaits

	// Changed by use.
	expires  time.Time // zero: never; meaningless while a channel is open
	channels []*channel
	session  *session // nil: not in use
	up, down int64    // bytes of channels that have ended
	used     time.Time
	first    time.Time  // first channel of the latest session
	ended    bool       // removed from the registry
	told     time.Time  // until when the other nodes know of it; zero: for ever
	telling  int        // how often they were told
	until    time.Time  // its page may come back until then at most; zero: not known yet, or for ever
	busy     bool       // it is in use, as far as the other nodes were told; remote: as its own one has told
	claimed  netip.Addr // another node that says it serves the grant, too
	lost     time.Time  // when another node, which served it meanwhile, said that it has ended; zero: none did
	heir     bool       // another node has served it before this one
	former   time.Time  // heir: until when it lived, as far as that node has told; zero: for ever
	detail   string     // what the dispatcher said when it ended the grant
}

// reopenKey tells which grant a repeated request is about. user is never "".
type reopenKey struct {
	client netip.Addr
	host   string
	port   uint16
	user   string
	mode   Mode
}

// session is a grant in use: from its first channel to its last.
type session struct {
	since    time.Time
	open     int   // channels counted to it that have not finished
	up, down int64 // bytes of its channels that have ended
}

// newSecret makes a token or ticket: 32 random bytes, and the hash that is
// all we keep of it.
func newSecret() (Secret, [sha256.Size]byte) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	s := Secret(base64.RawURLEncoding.EncodeToString(b[:]))
	return s, s.hash()
}

func (s Secret) hash() [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

func (g *grant) owns(token Secret) bool {
	h := token.hash()
	return subtle.ConstantTimeCompare(h[:], g.token[:]) == 1
}

func (g *grant) state() State {
	if g.session != nil {
		return StateActive
	}
	return StateGranted
}

// expired tells whether the grant's time is over; never while it is in use.
func (g *grant) expired(now time.Time) bool {
	return len(g.channels) == 0 && !g.expires.IsZero() && !now.Before(g.expires)
}

// extend lets the grant live for its ttl from now on.
func (g *grant) extend(now time.Time) {
	g.expires = g.until
	if end := now.Add(g.ttl); g.ttl > 0 && (g.until.IsZero() || end.Before(g.until)) {
		g.expires = end
	}
}

// returns tells whether a page comes back to the grant after a loss.
func (g *grant) returns() bool { return g.resumes != [2][sha256.Size]byte{} }

// admit reserves a channel. Over the limit, the oldest channel from before the
// client asked again gives way; it is returned for the caller to end. Without
// one the new channel is refused.
func (g *grant) admit(now time.Time) (ch, victim *channel, err error) {
	if g.ended || g.remote || g.expired(now) {
		return nil, nil, refuse(ErrExpired, "the grant has expired")
	}
	if len(g.channels) >= g.limit {
		i := slices.IndexFunc(g.channels, func(c *channel) bool { return c.replaceable })
		if i < 0 {
			return nil, nil, refuse(ErrUsed, "all channels of the connection are in use")
		}
		victim = g.channels[i]
		g.channels = slices.Delete(g.channels, i, i+1)
		if !slices.ContainsFunc(g.channels, func(c *channel) bool { return c.session != nil }) {
			g.session = nil // what comes now is a session of its own
		}
	}
	return g.join(now), victim, nil
}

// join adds a channel.
func (g *grant) join(now time.Time) *channel {
	ch := &channel{grant: g, opened: now, timeouts: g.timeouts, desktop: g.desktop}
	g.channels = append(g.channels, ch)
	return ch
}

// settle starts the time to reconnect when the last channel has gone. A grant
// whose channels never reached the VM keeps the time it had.
func (g *grant) settle(now time.Time) {
	if !g.first.IsZero() {
		g.extend(now)
	}
}

// bytes are the totals of the grant, running channels included.
func (g *grant) bytes() (up, down int64, last time.Time) {
	up, down, last = g.up, g.down, g.used
	for _, ch := range g.channels {
		s := ch.stats()
		up, down = up+s.Up, down+s.Down
		if s.LastActivity.After(last) {
			last = s.LastActivity
		}
	}
	return up, down, last
}
