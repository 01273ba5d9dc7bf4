package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// ticketStore keeps the gateway's tickets in the settings database.
type ticketStore struct{ db *settingsdb.Store }

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
}

// Put stores a ticket under its hash.
func (t ticketStore) Put(ctx context.Context, hash [sha256.Size]byte, id string, r gateway.TicketRequest, expires time.Time) error {
	body, err := json.Marshal(ticketBody{
		VMAddr: r.VMAddr, VMPort: r.VMPort, Protocol: r.Protocol, User: r.User, VMID: r.VMID,
		Client: r.Client, Channels: r.Channels, SessionMax: r.SessionMax,
	})
	if err != nil {
		return err
	}
	err = t.db.PutTicket(ctx, settingsdb.TicketRow{
		Hash: hash, ID: id, Body: body, User: r.User, VMAddress: r.VMAddr,
		ClientAddr: addrText(r.Client), ExpiresAt: expires, Uses: r.MaxUses,
	})
	if errors.Is(err, settingsdb.ErrTicketsFull) {
		return &gateway.Refusal{Err: gateway.ErrOverloaded, Detail: err.Error(), RetryAfter: time.Second}
	}
	return err
}

// Use takes one use of a ticket.
func (t ticketStore) Use(ctx context.Context, hash [sha256.Size]byte, now time.Time) (gateway.TicketRequest, error) {
	row, err := t.db.UseTicket(ctx, hash, now)
	switch {
	case errors.Is(err, settingsdb.ErrTicketUnknown):
		return gateway.TicketRequest{}, gateway.ErrTicketUnknown
	case errors.Is(err, settingsdb.ErrTicketSpent):
		return gateway.TicketRequest{}, gateway.ErrUsed
	case errors.Is(err, settingsdb.ErrTicketExpired):
		return gateway.TicketRequest{}, gateway.ErrExpired
	case err != nil:
		return gateway.TicketRequest{}, err
	}
	var b ticketBody
	err = json.Unmarshal(row.Body, &b)
	return gateway.TicketRequest{
		VMAddr: b.VMAddr, VMPort: b.VMPort, Protocol: b.Protocol, User: b.User, VMID: b.VMID,
		Client: b.Client, Channels: b.Channels, SessionMax: b.SessionMax,
	}, err
}

// Return gives one use back.
func (t ticketStore) Return(ctx context.Context, hash [sha256.Size]byte) error {
	return t.db.ReturnTicket(ctx, hash)
}

// Revoke deletes the tickets a disconnect selects.
func (t ticketStore) Revoke(ctx context.Context, s gateway.Selector) (int, error) {
	f := settingsdb.TicketFilter{User: s.User, VMAddress: s.VMAddr, All: s.All}
	if s.Client.IsValid() {
		text := addrText(s.Client)
		f.ClientAddr = &text
	}
	return t.db.RevokeTickets(ctx, f)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}
