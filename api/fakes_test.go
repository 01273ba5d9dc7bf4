package api

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

// settings is a document that changes without applying anything.
type settings struct {
	mu       sync.Mutex
	document settingsdb.Settings
	revision int64
	waiting  bool
	asked    ChangeRequest
	refuse   error
}

func newSettings(t *testing.T) *settings {
	t.Helper()
	s, err := settingsdb.Fresh(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	s.APIKey, s.CLIKey = apiKey, cliKey
	return &settings{document: s, revision: 17}
}

func (s *settings) Current() (settingsdb.Settings, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.document, s.revision
}

func (s *settings) Change(_ context.Context, r ChangeRequest) (ChangeResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = r
	if s.refuse != nil {
		return ChangeResult{}, s.refuse
	}
	if r.IfMatch != nil && *r.IfMatch != s.revision {
		return ChangeResult{}, ErrRevisionMismatch
	}
	next, problems := settingsdb.Revise(s.document, r.Body)
	if len(problems) > 0 {
		return ChangeResult{}, problems
	}
	result := ChangeResult{Revision: s.revision, Changed: settingsdb.Changed(s.document, next)}
	if r.DryRun {
		return result, nil
	}
	s.document, s.waiting = next, r.Confirm > 0
	s.revision++
	result.Applied, result.Revision = true, s.revision
	if r.Confirm > 0 {
		at := time.Now().Add(r.Confirm)
		result.RollbackAt = &at
	}
	return result, nil
}

func (s *settings) Confirm(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.waiting {
		return 0, ErrNothingToConfirm
	}
	s.waiting = false
	return s.revision, nil
}

// tickets keeps tickets in memory.
type tickets struct {
	mu   sync.Mutex
	rows map[[32]byte]*ticketRow
}

type ticketRow struct {
	request gateway.TicketRequest
	expires time.Time
	uses    int
}

func newTickets() *tickets { return &tickets{rows: map[[32]byte]*ticketRow{}} }

func (s *tickets) Put(_ context.Context, hash [32]byte, _ string, r gateway.TicketRequest, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[hash] = &ticketRow{r, expires, r.MaxUses}
	return nil
}

func (s *tickets) Use(_ context.Context, hash [32]byte, now time.Time) (gateway.TicketRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[hash]
	switch {
	case row == nil:
		return gateway.TicketRequest{}, gateway.ErrTicketUnknown
	case now.After(row.expires):
		return gateway.TicketRequest{}, gateway.ErrExpired
	case row.uses == 0:
		return gateway.TicketRequest{}, gateway.ErrUsed
	}
	row.uses--
	return row.request, nil
}

func (s *tickets) Return(_ context.Context, hash [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if row := s.rows[hash]; row != nil {
		row.uses++
	}
	return nil
}

func (s *tickets) Revoke(_ context.Context, sel gateway.Selector) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rows)
	if sel.All {
		s.rows = map[[32]byte]*ticketRow{}
	}
	return before - len(s.rows), nil
}
