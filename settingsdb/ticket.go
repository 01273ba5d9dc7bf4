package settingsdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What became of a ticket.
var (
	// ErrTicketUnknown: no ticket has this hash, it was revoked, or it expired
	// so long ago that it is forgotten.
	ErrTicketUnknown = errors.New("unknown ticket")
	// ErrTicketSpent: all its uses are gone.
	ErrTicketSpent = errors.New("the ticket has been used")
	// ErrTicketExpired: it came too late.
	ErrTicketExpired = errors.New("the ticket has expired")
	// ErrTicketsFull: there are so many live tickets that no more are taken.
	ErrTicketsFull = errors.New("too many live tickets")
)

const (
	maxTickets = 100_000
	// ticketMemory is how long after its expiry a ticket is still told from an
	// unknown one.
	ticketMemory = time.Hour
)

// TicketRow is a ticket as it is kept: never itself, only its SHA-256. User,
// VMAddress and ClientAddr stand beside the body so that tickets can be revoked
// by them; the body is the owner's affair.
type TicketRow struct {
	Hash       [32]byte
	ID         string
	Body       []byte
	User       string
	VMAddress  string
	ClientAddr string
	// ExpiresAt is kept to the microsecond.
	ExpiresAt time.Time
	// Uses is how many uses are left.
	Uses int
}

const ticketColumns = "hash, id, body, user, vm_address, client_addr, expires_at, uses"

// PutTicket keeps a new ticket. With 100000 tickets that are still good it
// gives [ErrTicketsFull].
func (s *Store) PutTicket(ctx context.Context, t TicketRow) error {
	return s.putTicket(ctx, t, time.Now(), maxTickets)
}

func (s *Store) putTicket(ctx context.Context, t TicketRow, now time.Time, most int) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var live int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tickets WHERE expires_at > ? AND uses > 0", now.UnixMicro()).Scan(&live)
		if err != nil {
			return err
		}
		if live >= most {
			return fmt.Errorf("%w: %d", ErrTicketsFull, live)
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO tickets ("+ticketColumns+", max_uses) VALUES (?,?,?,?,?,?,?,?,?)",
			t.Hash[:], t.ID, append([]byte{}, t.Body...), t.User, t.VMAddress, t.ClientAddr, t.ExpiresAt.UnixMicro(), t.Uses, t.Uses)
		return err
	})
}

// UseTicket takes one use of a ticket and returns it with the uses that are
// left. Of concurrent calls exactly as many succeed as there were uses. The
// errors to branch on are [ErrTicketUnknown], [ErrTicketSpent] and
// [ErrTicketExpired].
func (s *Store) UseTicket(ctx context.Context, hash [32]byte, now time.Time) (TicketRow, error) {
	var t TicketRow
	err := s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var err error
		if t, err = peekTicket(ctx, tx, hash, now); err != nil {
			return err
		}
		t.Uses--
		_, err = tx.ExecContext(ctx, "UPDATE tickets SET uses = ? WHERE hash = ?", t.Uses, hash[:])
		return err
	})
	return t, err
}

// PeekTicket returns a ticket that could be used now, without using it. The
// errors are those of [Store.UseTicket].
func (s *Store) PeekTicket(ctx context.Context, hash [32]byte, now time.Time) (TicketRow, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	t, err := peekTicket(ctx, s.reader, hash, now)
	return t, explain(s.path, err)
}

func peekTicket(ctx context.Context, db querier, hash [32]byte, now time.Time) (TicketRow, error) {
	t, err := scanTicket(db.QueryRowContext(ctx, "SELECT "+ticketColumns+" FROM tickets WHERE hash = ?", hash[:]).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t, ErrTicketUnknown
	case err != nil:
		return t, err
	case t.Uses <= 0:
		return t, ErrTicketSpent
	case !now.Before(t.ExpiresAt):
		return t, ErrTicketExpired
	}
	return t, nil
}

// ReturnTicket gives one use back, because what it was used for failed. A
// ticket never has more uses than it was made with; one that is gone meanwhile
// stays gone.
func (s *Store) ReturnTicket(ctx context.Context, hash [32]byte) error {
	return s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE tickets SET uses = min(uses + 1, max_uses) WHERE hash = ?", hash[:])
		return err
	})
}
