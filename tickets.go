package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"sync"
	"time"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// ticketStore keeps the gateway's tickets: in the settings database of the node
// that makes or uses them, and in the directory of all nodes, so that every node
// can serve them when the one that made them is gone. See tickets_cluster.go for
// who decides about a use.
type ticketStore struct {
	db      *settingsdb.Store
	cluster *cluster
	vault   *vault
	// using orders what happens to a ticket and what is told of it, by the first
	// byte of its hash.
	using [256]sync.Mutex
}

// ticketBody is what a ticket says, as it is stored.
type ticketBody struct {
	VMAddr     string           `json:"vm_address"`
	VMPort     uint16           `json:"vm_port"`
	Protocol   gateway.Protocol `json:"protocol,omitempty"`
	User       string           `json:"user,omitempty"`
	VMID       string           `json:"vm_id,omitempty"`
	Client     netip.Addr       `json:"client_addr,omitzero"`
	Channels   int              `json:"channels,omitempty"`
	SessionMax time.Duration    `json:"session_max_ns,omitempty"`
	Desktop    gateway.Desktop  `json:"desktop,omitzero"`
	Sealed     []byte           `json:"sealed,omitempty"` // Desktop, in the database
}

// Put stores a ticket under its hash. Every living node knows it when Put
// returns.
func (t *ticketStore) Put(ctx context.Context, hash [sha256.Size]byte, id string, r gateway.TicketRequest, expires time.Time) error {
	body, err := json.Marshal(ticketBody{
		VMAddr: r.VMAddr, VMPort: r.VMPort, Protocol: r.Protocol, User: r.User, VMID: r.VMID,
		Client: r.Client, Channels: r.Channels, SessionMax: r.SessionMax, Desktop: r.Desktop,
	})
	if err != nil {
		return err
	}
	row := settingsdb.TicketRow{
		Hash: hash, ID: id, Body: body, User: r.User, VMAddress: r.VMAddr,
		ClientAddr: addrText(r.Client), ExpiresAt: expires, Uses: r.MaxUses,
	}
	kept, err := t.atRest(row)
	if err == nil {
		err = t.db.PutTicket(ctx, kept)
	}
	switch {
	case errors.Is(err, settingsdb.ErrTicketsFull):
		return &gateway.Refusal{Err: gateway.ErrOverloaded, Detail: err.Error(), RetryAfter: time.Second}
	case err == nil:
		t.share(ctx, row)
	}
	return err
}

// Use takes one use of a ticket.
func (t *ticketStore) Use(ctx context.Context, hash [sha256.Size]byte, now time.Time) (gateway.TicketRequest, error) {
	return atJudge(ctx, t, hash, callTicketUse, func() (gateway.TicketRequest, error) { return t.useHere(ctx, hash, now) })
}

// Return gives one use back.
func (t *ticketStore) Return(ctx context.Context, hash [sha256.Size]byte) error {
	_, err := atJudge(ctx, t, hash, callTicketReturn, func() (bool, error) { return true, t.returnHere(ctx, hash) })
	return err
}

// Revoke deletes the tickets a disconnect selects. Every node is asked to, so
// this one sees to its own copies.
func (t *ticketStore) Revoke(ctx context.Context, s gateway.Selector) (int, error) {
	f := settingsdb.TicketFilter{User: s.User, VMAddress: s.VMAddr, All: s.All}
	if s.Client.IsValid() {
		text := addrText(s.Client)
		f.ClientAddr = &text
	}
	n, err := t.db.RevokeTickets(ctx, f)
	return max(n, t.revokeShared(f)), err
}

func (t *ticketStore) useHere(ctx context.Context, hash [sha256.Size]byte, now time.Time) (gateway.TicketRequest, error) {
	lock := &t.using[hash[0]]
	lock.Lock()
	defer lock.Unlock()
	if err := t.copyIn(ctx, hash); err != nil {
		return gateway.TicketRequest{}, err
	}
	row, err := t.take(ctx, hash, now)
	switch {
	case errors.Is(err, settingsdb.ErrTicketUnknown):
		return gateway.TicketRequest{}, gateway.ErrTicketUnknown
	case errors.Is(err, settingsdb.ErrTicketSpent):
		return gateway.TicketRequest{}, gateway.ErrUsed
	case errors.Is(err, settingsdb.ErrTicketExpired):
		return gateway.TicketRequest{}, gateway.ErrExpired
	case errors.Is(err, errSealedElsewhere): // for its holder it is as if its time were over
		t.cluster.log.WithError(err).Warn("a ticket is lost")
		return gateway.TicketRequest{}, gateway.ErrExpired
	case err != nil:
		return gateway.TicketRequest{}, err
	}
	t.share(ctx, row)
	var b ticketBody
	err = json.Unmarshal(row.Body, &b)
	return gateway.TicketRequest{
		VMAddr: b.VMAddr, VMPort: b.VMPort, Protocol: b.Protocol, User: b.User, VMID: b.VMID,
		Client: b.Client, Channels: b.Channels, SessionMax: b.SessionMax, Desktop: b.Desktop,
	}, err
}

// take takes one use of a ticket in the database. One that cannot be read now, for which
// there is a remedy, is as good as before.
func (t *ticketStore) take(ctx context.Context, hash [sha256.Size]byte, now time.Time) (settingsdb.TicketRow, error) {
	used, err := t.db.UseTicket(ctx, hash, now)
	if err != nil {
		return used, err
	}
	row, err := t.awake(used, nil)
	if err == nil || errors.Is(err, errSealedElsewhere) {
		return row, err
	}
	return row, errors.Join(err, t.db.ReturnTicket(ctx, hash))
}

func (t *ticketStore) returnHere(ctx context.Context, hash [sha256.Size]byte) error {
	lock := &t.using[hash[0]]
	lock.Lock()
	defer lock.Unlock()
	if err := t.db.ReturnTicket(ctx, hash); err != nil {
		return err
	}
	row, err := t.awake(t.db.PeekTicket(ctx, hash, time.Now()))
	if err == nil { // otherwise it has expired or was revoked
		t.share(ctx, row)
	}
	return nil
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}
