package balancer

import (
	"net/netip"
	"time"
)

// connection is a client on its way to a node, or there. The Balancer's lock
// guards it.
type connection struct {
	b      *Balancer
	front  *front
	at     []*backend   // the first one is where it is; empty: none was reached
	source netip.Prefix // the client's network; invalid: of no interest
	stick  bool         // that network is with the node reached
	joined bool
	cut    func() // resets the client
}

// route is the way of a placed connection.
func (c *connection) route(client netip.AddrPort) *Route {
	cfg := c.b.cfg
	r := &Route{
		Timeout: cfg.Timeouts.Dial, HalfClose: cfg.Timeouts.HalfClose,
		Header: c.b.deps.Header(client, c.front.listen),
		Setup:  func(fd int) error { return dialling(fd, cfg.Node, cfg.Timeouts) },
		Missed: func(netip.AddrPort, error) { c.missed(time.Now()) },
		Joined: c.reached,
		Ended:  func(up, down int64) { c.ended(up, down, time.Now()) },
	}
	for _, n := range c.at {
		r.To = append(r.To, netip.AddrPortFrom(n.node.addr, c.front.Backend))
	}
	return r
}

// enter counts the connection where it is and notes its network there.
func (c *connection) enter(now time.Time) {
	to := c.at[0]
	to.current++
	to.node.load = to.node.load.at(now).opened()
	if !c.stick {
		return
	}
	known, _ := c.b.deps.Sticky.Get(c.source)
	ttl := c.b.cfg.StickyTTL
	if c.b.sources.due(c.source, to.node.addr, known, ttl, now) {
		c.b.deps.Sticky.Put(c.source, to.node.addr, ttl)
	}
}

// missed has it go on to its next node: this one could not be reached, and the
// front suspects it until a check has been passed.
func (c *connection) missed(now time.Time) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if len(c.at) == 0 {
		return
	}
	from := c.at[0]
	from.missed++
	from.current--
	from.suspect = now
	from.node.load = from.node.load.missed()
	wake(from.node.kick)
	if c.at = c.at[1:]; len(c.at) > 0 {
		c.enter(now)
	}
}

func (c *connection) reached() {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.joined = true
	if len(c.at) > 0 {
		c.at[0].total++
		c.at[0].node.clients[c] = true
	}
}

// ended takes it off the counts.
func (c *connection) ended(up, down int64, now time.Time) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.b.open--
	if !c.joined {
		c.front.lost++
	}
	if len(c.at) == 0 {
		return
	}
	from := c.at[0]
	delete(from.node.clients, c)
	from.current--
	from.up += up
	from.down += down
	from.node.load = from.node.load.closed(now)
}
