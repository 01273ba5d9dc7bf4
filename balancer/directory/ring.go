package directory

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	keyLabel  = "vdi-gateway membership" // of the key derived from Config.Key
	wireLabel = "vdi-gateway"            // in every packet
	joinTime  = time.Second              // between two tries to reach peers that are not alive
	leaveTime = 500 * time.Millisecond
)

var errNotPeer = errors.New("not a peer, or not at its address and port")

// ring is one life of memberlist, on one address.
type ring struct {
	*gossip
	node  netip.Addr
	port  uint16
	keys  *memberlist.Keyring
	wire  *transport
	taken bool // by Run, which ends it; gossip.mu guards it
}

func newRing(g *gossip, cfg Config) (*ring, error) {
	keys, primary, err := deriveKeys(cfg)
	if err != nil {
		return nil, err
	}
	ring := &ring{gossip: g, node: cfg.Node, port: cfg.Port}
	if ring.keys, err = memberlist.NewKeyring(keys, primary); err != nil {
		return nil, err
	}
	ring.wire, err = listen(netip.AddrPortFrom(cfg.Node, cfg.Port), g.trusts, &g.refused)
	return ring, err
}

// abandon closes the sockets of a ring that Run has not taken.
func (r *ring) abandon() {
	if r != nil && !r.taken {
		_ = r.wire.Shutdown()
	}
}

// deriveKeys makes 32 bytes of each key (HKDF-SHA256, RFC 5869): AES-256.
func deriveKeys(cfg Config) (keys [][]byte, primary []byte, err error) {
	for _, key := range slices.Concat([]string{cfg.Key}, cfg.FormerKeys) {
		derived, err := hkdf.Key(sha256.New, []byte(key), nil, keyLabel, 32)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, derived)
	}
	return keys, keys[0], nil
}

// renewKeys makes a keyring hold those of cfg.
func renewKeys(ring *memberlist.Keyring, cfg Config) error {
	keys, primary, err := deriveKeys(cfg)
	for _, key := range keys {
		err = errors.Join(err, ring.AddKey(key))
	}
	if err = errors.Join(err, ring.UseKey(primary)); err != nil {
		return err
	}
	for _, key := range slices.Clone(ring.GetKeys()) {
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			err = errors.Join(err, ring.RemoveKey(key))
		}
	}
	return err
}

func (r *ring) config() *memberlist.Config {
	d := delegate{r.gossip, r.node, r.port}
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.Keyring, c.Transport = r.node.String(), wireLabel, r.keys, r.wire
	c.BindPort, c.AdvertisePort = int(r.port), int(r.port)
	c.Delegate, c.Alive, c.Events = d, d, d
	c.Logger = log.New(journal{r.gossip}, "", 0)
	c.ProbeInterval, c.ProbeTimeout, c.TCPTimeout = 200*time.Millisecond, 100*time.Millisecond, time.Second
	c.SuspicionMult, c.SuspicionMaxTimeoutMult, c.AwarenessMaxMultiplier = 2, 2, 2
	c.GossipInterval, c.GossipToTheDeadTime, c.PushPullInterval = 50*time.Millisecond, 5*time.Second, 10*time.Second
	c.EnableCompression = false
	return c
}

// run is a member until ctx ends.
func (r *ring) run(ctx context.Context, changed func()) {
	r.wire.start()
	list, err := memberlist.Create(r.config())
	if err != nil {
		r.log.WithError(err).Error("membership does not work: this node is alone")
		_ = r.wire.Shutdown()
		return
	}
	var joining sync.WaitGroup
	ticker := time.NewTicker(joinTime)
	defer ticker.Stop()
	for r.join(list, &joining); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-r.news:
			changed()
		case <-r.update:
			_ = list.UpdateNode(time.Millisecond) // says that it has not waited for the peers
		case <-ticker.C:
			r.join(list, &joining)
			// A status is gossiped a few times and then no more: one that got
			// lost would be missed until the next exchange of everything.
			_ = list.UpdateNode(time.Millisecond) // as above
		}
	}
	if err := list.Leave(leaveTime); err != nil {
		r.log.WithError(err).Debug("the peers may not have heard that this node leaves")
	}
	_ = list.Shutdown() // returns no error
	joining.Wait()
}

// join tries to reach each peer that is not alive, all at once.
func (r *ring) join(list *memberlist.Memberlist, joining *sync.WaitGroup) {
	alive := r.Alive()
	for _, peer := range *r.peers.Load() {
		if _, is := alive[peer]; is {
			continue
		}
		joining.Go(func() {
			_, _ = list.Join([]string{netip.AddrPortFrom(peer, r.port).String()}) // journal tells
		})
	}
}

// journal takes memberlist's log, and counts what it tells of refusals: there is
// no other way to learn of them.
type journal struct{ *gossip }

// Write takes a line.
func (j journal) Write(line []byte) (int, error) {
	for _, sign := range []string{"Decrypt packet failed", "failed to receive", "unacceptable", "cannot decode label", "label header"} {
		if bytes.Contains(line, []byte(sign)) {
			j.refused.Add(1)
			break
		}
	}
	j.log.Debug(fmt.Sprintf("membership: %s", bytes.TrimSpace(line)))
	return len(line), nil
}
