package main

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/api/peer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/gateway"
	"vdi-gateway/gateway/kernel"
)

// Kinds of records that the nodes share.
const (
	kindGrant  = "grant"
	kindTicket = "ticket"
	kindSticky = "sticky"
	kindFlow   = "flow"
)

// cluster is what this node knows of the others and its way to reach them. A
// node alone has one, too: with nobody in it.
type cluster struct {
	directory *directory.Directory
	peers     *peer.Client
	change    *peer.Client // by the settings before or after a change
	internal  *peer.Server
	learn     func(gateway.Record) error // set before anything runs
	unlearn   func(gateway.ConnectionID)
	lose      func(gateway.ConnectionID)
	revoked   func(gateway.ConnectionID) bool
	kept      *kept
	applied   planCluster // one apply at a time
	log       logrus.FieldLogger
}

func newCluster(log logrus.FieldLogger) *cluster {
	c := &cluster{peers: peer.NewClient(), change: peer.NewClient(), internal: peer.NewServer(), log: log}
	c.directory = directory.New(directory.Deps{
		Carrier: carrier{c.peers}, Accept: c.accept, Changed: c.changed, Log: log,
	})
	c.internal.Handle(callDirectory, c.directory.Receive)
	return c
}

// apply tells who the nodes are. An error means that nothing changed.
func (c *cluster) apply(next planCluster) error {
	was := c.applied
	if err := c.peers.Apply(next.peers); err != nil {
		return err
	}
	if err := c.internal.Apply(next.peers); err != nil {
		return errors.Join(err, c.peers.Apply(was.peers))
	}
	if err := c.directory.Apply(next.directory); err != nil {
		return errors.Join(err, c.internal.Apply(was.peers), c.peers.Apply(was.peers))
	}
	c.applied = next
	if !reflect.DeepEqual(was.peers, next.peers) {
		return c.change.Apply(was.peers) // some may not have changed yet, or go back
	}
	return nil
}

// carrier brings the directory's messages to other nodes.
type carrier struct{ peers *peer.Client }

// Send asks another node.
func (c carrier) Send(ctx context.Context, to netip.Addr, message []byte) ([]byte, error) {
	return c.peers.Call(ctx, to, callDirectory, message)
}

// accept takes another node's grant in before it is acknowledged: its client may
// come here the moment the owner has answered. One that is refused is not kept.
func (c *cluster) accept(r directory.Record) error {
	if r.Kind != kindGrant {
		return nil
	}
	err := c.learn(gatewayRecord(r))
	if err != nil {
		c.unlearn(gateway.ConnectionID(r.Key))
	}
	return err
}

// changed follows what came or went, whether anybody waits for it or not.
func (c *cluster) changed(r directory.Record, gone bool) {
	switch {
	case r.Kind != kindGrant:
	case gone:
		c.kept.drop(gateway.ConnectionID(r.Key))
		c.unlearn(gateway.ConnectionID(r.Key))
		if r.Node != c.own() {
			c.lose(gateway.ConnectionID(r.Key))
		}
	case r.Node != c.own() && c.revoked(gateway.ConnectionID(r.Key)):
		c.unlearn(gateway.ConnectionID(r.Key))
		c.directory.Delete(kindGrant, r.Key)
	default:
		if r.Node != c.own() {
			c.kept.drop(gateway.ConnectionID(r.Key))
		}
		if err := c.learn(gatewayRecord(r)); err != nil && !errors.Is(err, gateway.ErrSlotTaken) {
			c.log.WithError(err).WithField("node", r.Node).Warn("a connection of another node cannot be served here")
		}
	}
}

func gatewayRecord(r directory.Record) gateway.Record {
	return gateway.Record{ID: gateway.ConnectionID(r.Key), Expires: r.Expires, Value: r.Value}
}

// living lists the nodes that are alive, this one included, in the order of
// internal_addrs.
func (c *cluster) living() []netip.Addr {
	var list []netip.Addr
	for _, m := range c.directory.Members() {
		if m.Alive || m.Self {
			list = append(list, m.Node)
		}
	}
	return list
}

// others are the living nodes but this one.
func (c *cluster) others() []netip.Addr {
	var list []netip.Addr
	for _, m := range c.directory.Members() {
		if m.Alive && !m.Self {
			list = append(list, m.Node)
		}
	}
	return list
}

// own is this node.
func (c *cluster) own() netip.Addr {
	for _, m := range c.directory.Members() {
		if m.Self {
			return m.Node
		}
	}
	return netip.Addr{}
}

func (c *cluster) isLivingPeer(node netip.Addr) bool { return slices.Contains(c.others(), node) }

// grants is the directory as the gateway wants it.
type grants struct{ *cluster }

// Share has every living node know the grant before it returns. A node that
// cannot serve it, for another reason than a rival, does not keep it from others.
func (g grants) Share(ctx context.Context, r gateway.Record) error {
	g.kept.note(r)
	err := g.directory.Share(ctx, grantRecord(r))
	var refused *directory.Refused
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Reason == gateway.ErrSlotTaken.Error():
		return gateway.ErrSlotTaken
	}
	g.log.WithError(err).Warn("a node cannot serve a connection of this one")
	g.Spread(r)
	return nil
}

// Spread lets the others know in a while.
func (g grants) Spread(r gateway.Record) {
	g.kept.note(r)
	g.directory.Put(grantRecord(r))
}

// Forget tells that the grant has ended.
func (g grants) Forget(id gateway.ConnectionID) {
	g.kept.drop(id)
	g.directory.Delete(kindGrant, string(id))
}

// Living lists the nodes that are alive.
func (g grants) Living() []netip.Addr { return g.living() }

// Reopen asks the node that has a caller's grant for it.
func (g grants) Reopen(ctx context.Context, node netip.Addr, r gateway.Reopening) (gateway.Grant, error) {
	return ask[gateway.Grant](ctx, g.cluster, node, callReopen, r)
}

func grantRecord(r gateway.Record) directory.Record {
	return directory.Record{Kind: kindGrant, Key: string(r.ID), Value: r.Value, Expires: r.Expires}
}

// flows is the directory as the kernel data path wants it.
type flows struct{ *cluster }

// Spread lets the others know a connection that this node's kernel carries.
func (f flows) Spread(r kernel.Record) {
	f.directory.Put(directory.Record{Kind: kindFlow, Key: r.ID, Value: r.Value})
}

// Forget tells that it has ended, unless another node carries it on.
func (f flows) Forget(id string) {
	if r, known := f.directory.Get(kindFlow, id); known && r.Node == f.own() {
		f.Discard(id)
	}
}

// Discard tells that it has ended.
func (f flows) Discard(id string) { f.directory.Delete(kindFlow, id) }

// All are the connections that the kernels of all nodes carry.
func (f flows) All() (list []kernel.Record) {
	for r := range f.directory.All(kindFlow) {
		list = append(list, kernel.Record{ID: r.Key, Value: r.Value})
	}
	return list
}

// sticky is where the balancer keeps which node a source was sent to: the key is
// the source's network, the value the node.
type sticky struct{ directory *directory.Directory }

// Get is the node of a source.
func (s sticky) Get(source netip.Prefix) (netip.Addr, bool) {
	r, ok := s.directory.Get(kindSticky, source.String())
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(r.Value)
}

// Put notes the node of a source for a while.
func (s sticky) Put(source netip.Prefix, node netip.Addr, ttl time.Duration) {
	s.directory.Put(directory.Record{
		Kind: kindSticky, Key: source.String(), Value: node.AsSlice(), Expires: time.Now().Add(ttl),
	})
}
