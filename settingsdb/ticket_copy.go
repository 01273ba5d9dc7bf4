package settingsdb

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// CopyTicket keeps a ticket that another node made, with the uses that are left
// of it; one that is kept already gets these uses. There are as many as nodes
// make, each of them bounded.
func (s *Store) CopyTicket(ctx context.Context, t TicketRow) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO tickets ("+ticketColumns+", max_uses) VALUES (?,?,?,?,?,?,?,?,?)"+
			" ON CONFLICT (hash) DO UPDATE SET uses = excluded.uses",
			t.Hash[:], t.ID, append([]byte{}, t.Body...), t.User, t.VMAddress, t.ClientAddr, t.ExpiresAt.UnixMicro(), t.Uses, max(t.Uses, 1))
		return err
	})
}

// LiveTickets returns the tickets that can still be used, or were spent and have
// not expired, as TicketRow has them.
func (s *Store) LiveTickets(ctx context.Context, now time.Time) ([]TicketRow, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := s.reader.QueryContext(ctx, "SELECT "+ticketColumns+" FROM tickets WHERE expires_at > ?", now.UnixMicro())
	if err != nil {
		return nil, explain(s.path, err)
	}
	defer rows.Close()
	var list []TicketRow
	for rows.Next() {
		t, err := scanTicket(rows.Scan)
		if err != nil {
			return nil, explain(s.path, err)
		}
		list = append(list, t)
	}
	return list, explain(s.path, rows.Err())
}

// scanTicket reads the ticketColumns of one row.
func scanTicket(scan func(...any) error) (TicketRow, error) {
	var t TicketRow
	var hash []byte
	var expires int64
	err := scan(&hash, &t.ID, &t.Body, &t.User, &t.VMAddress, &t.ClientAddr, &expires, &t.Uses)
	copy(t.Hash[:], hash)
	t.ExpiresAt = time.UnixMicro(expires).UTC()
	return t, err
}

// Selects tells whether the filter selects a ticket, as RevokeTickets does.
func (f TicketFilter) Selects(t TicketRow) bool {
	is := func(want *string, have string) bool { return want == nil || *want == have }
	some := f.All || f.User != nil || f.VMAddress != nil || f.ClientAddr != nil || f.IDs != nil
	return some && is(f.User, t.User) && is(f.VMAddress, t.VMAddress) && is(f.ClientAddr, t.ClientAddr) &&
		(f.IDs == nil || slices.Contains(f.IDs, t.ID))
}
