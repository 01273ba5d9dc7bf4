package gateway

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// memoryTickets is a TicketStore with the semantics of the database's.
type memoryTickets struct {
	mu      sync.Mutex
	tickets map[[sha256.Size]byte]*storedTicket
}

type storedTicket struct {
	id      string
	request TicketRequest
	expires time.Time
	left    int
}

func newMemoryTickets() *memoryTickets {
	return &memoryTickets{tickets: map[[sha256.Size]byte]*storedTicket{}}
}

func (m *memoryTickets) Put(_ context.Context, hash [sha256.Size]byte, id string, t TicketRequest, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tickets[hash] = &storedTicket{id: id, request: t, expires: expires, left: t.MaxUses}
	return nil
}

func (m *memoryTickets) Use(_ context.Context, hash [sha256.Size]byte, now time.Time) (TicketRequest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tickets[hash]
	switch {
	case t == nil:
		return TicketRequest{}, ErrTicketUnknown
	case !now.Before(t.expires):
		return TicketRequest{}, ErrExpired
	case t.left == 0:
		return TicketRequest{}, ErrUsed
	}
	t.left--
	return t.request, nil
}

func (m *memoryTickets) Return(_ context.Context, hash [sha256.Size]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tickets[hash]; t != nil {
		t.left++
	}
	return nil
}

func (m *memoryTickets) Revoke(_ context.Context, s Selector) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for hash, t := range m.tickets {
		r := t.request
		if s.All || s.User != nil && r.User == *s.User || s.VMAddr != nil && r.VMAddr == *s.VMAddr ||
			s.Client.IsValid() && r.Client == s.Client {
			delete(m.tickets, hash)
			n++
		}
	}
	return n, nil
}
