package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"vdi-gateway/api/peer"
	"vdi-gateway/balancer/directory"
	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// sharedTicket is a ticket as the nodes know it. The record's key is its hash.
type sharedTicket struct {
	ID   string          `json:"id"`
	Body json.RawMessage `json:"body"`
	Uses int             `json:"uses"` // left
	// Revoked tickets are kept until they expire: a node that was away must
	// not find them unused in its database.
	Revoked bool `json:"revoked,omitempty"`
}

// ticketUse asks the judge of a ticket for one use of it, or to take one back.
type ticketUse struct{ Hash [sha256.Size]byte }

// share has all nodes know a ticket. Those that live know it when this returns:
// its holder may come to any of them.
func (t *ticketStore) share(ctx context.Context, row settingsdb.TicketRow) {
	r, err := ticketRecord(row, false)
	if err == nil && t.cluster.directory.Share(ctx, r) != nil {
		t.cluster.directory.Put(r) // nobody waits for it any more
	}
}

func ticketRecord(row settingsdb.TicketRow, revoked bool) (directory.Record, error) {
	value, err := json.Marshal(sharedTicket{ID: row.ID, Body: row.Body, Uses: row.Uses, Revoked: revoked})
	return directory.Record{Kind: kindTicket, Key: hex.EncodeToString(row.Hash[:]), Value: value, Expires: row.ExpiresAt}, err
}

// ticketRow is the row of a record.
func ticketRow(r directory.Record) (row settingsdb.TicketRow, revoked bool, err error) {
	row.ExpiresAt = r.Expires
	if n, err := hex.Decode(row.Hash[:], []byte(r.Key)); err != nil || n != len(row.Hash) {
		return row, false, fmt.Errorf("the key of a ticket is no hash")
	}
	var s sharedTicket
	if err := json.Unmarshal(r.Value, &s); err != nil {
		return row, false, err
	}
	var b ticketBody
	if err := json.Unmarshal(s.Body, &b); err != nil {
		return row, false, err
	}
	row.ID, row.Body, row.Uses = s.ID, s.Body, s.Uses
	row.User, row.VMAddress, row.ClientAddr = b.User, b.VMAddr, addrText(b.Client)
	return row, s.Revoked, nil
}

// copyIn takes into the database what another node wrote last about a ticket.
func (t *ticketStore) copyIn(ctx context.Context, hash [sha256.Size]byte) error {
	r, ok := t.cluster.directory.Get(kindTicket, hex.EncodeToString(hash[:]))
	if !ok {
		return nil
	}
	row, revoked, err := ticketRow(r)
	switch {
	case err != nil:
		return err
	case revoked:
		return gateway.ErrTicketUnknown
	case r.Node == t.cluster.own():
		return nil
	}
	if row, err = t.atRest(row); err != nil {
		return err
	}
	return t.db.CopyTicket(ctx, row)
}

// revokeShared revokes the shared tickets that f selects and returns how many.
func (t *ticketStore) revokeShared(f settingsdb.TicketFilter) int {
	n := 0
	for r := range t.cluster.directory.All(kindTicket) {
		row, revoked, err := ticketRow(r)
		if err != nil || revoked || !f.Selects(row) {
			continue
		}
		if r, err = ticketRecord(row, true); err == nil {
			t.cluster.directory.Put(r)
			n++
		}
	}
	return n
}

// publish has the others know the tickets in the database that none of them
// knows: those from before a restart of all.
func (t *ticketStore) publish(ctx context.Context, now time.Time) error {
	rows, err := t.db.LiveTickets(ctx, now)
	for _, row := range rows {
		row, err := t.awake(row, nil)
		if err != nil {
			t.cluster.log.WithError(err).Warn("a ticket cannot be used")
			continue
		}
		r, err := ticketRecord(row, false)
		if err != nil {
			return err
		}
		if _, known := t.cluster.directory.Get(r.Kind, r.Key); !known {
			t.cluster.directory.Put(r)
		}
	}
	return err
}

// judge is the node that decides about a ticket: the one that wrote about it
// last while it lives, else the living one that all agree on. It is none of
// lost, which could not be reached.
func (t *ticketStore) judge(hash [sha256.Size]byte, lost []netip.Addr) netip.Addr {
	living := slices.DeleteFunc(t.cluster.living(), func(a netip.Addr) bool { return slices.Contains(lost, a) })
	key := hex.EncodeToString(hash[:])
	if r, ok := t.cluster.directory.Get(kindTicket, key); ok && slices.Contains(living, r.Node) {
		return r.Node
	}
	var best netip.Addr
	var most uint64
	for _, a := range living {
		if weight := xxhash.Sum64String(key + a.String()); !best.IsValid() || weight > most {
			best, most = a, weight
		}
	}
	return best
}

// atJudge does what concerns a ticket where it has to be done. A judge that
// cannot be reached is passed over: so each part of a divided cluster may use
// what the other has used, once.
func atJudge[A any](ctx context.Context, t *ticketStore, hash [sha256.Size]byte, name string, here func() (A, error)) (A, error) {
	var lost []netip.Addr
	for {
		node := t.judge(hash, lost)
		if !t.cluster.isLivingPeer(node) {
			return here()
		}
		got, err := ask[A](ctx, t.cluster, node, name, ticketUse{hash})
		if !errors.Is(err, peer.ErrUnreachable) || ctx.Err() != nil {
			return got, refusalOf(err)
		}
		lost = append(lost, node)
	}
}

// refusals are errors that keep their meaning between nodes, by name.
func refusals() map[string]error {
	return map[string]error{"unknown": gateway.ErrTicketUnknown, "used": gateway.ErrUsed, "expired": gateway.ErrExpired}
}

// useFor takes one use of a ticket for another node.
func (t *ticketStore) useFor(ctx context.Context, q ticketUse) (gateway.TicketRequest, error) {
	// The record of the use is acknowledged by the other nodes, none of which
	// asks back for that.
	r, err := t.useHere(peer.Allow(ctx), q.Hash, time.Now())
	for name, refusal := range refusals() {
		if errors.Is(err, refusal) {
			return r, &peer.Failure{Code: name, Message: err.Error()}
		}
	}
	return r, err
}

func refusalOf(err error) error {
	var f *peer.Failure
	if errors.As(err, &f) && refusals()[f.Code] != nil {
		return refusals()[f.Code]
	}
	return err
}

// returnFor gives one use back for another node.
func (t *ticketStore) returnFor(ctx context.Context, q ticketUse) (bool, error) {
	return true, t.returnHere(peer.Allow(ctx), q.Hash)
}
