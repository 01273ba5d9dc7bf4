package settingsdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"
)

// TicketFilter selects tickets: those for which every member that is set
// holds. All selects every ticket; with nothing set none is selected.
type TicketFilter struct {
	User       *string
	VMAddress  *string
	ClientAddr *string
	All        bool
	IDs        []string
}

// where returns the condition and its arguments, "" when nothing is selected.
func (f TicketFilter) where() (condition string, args []any, err error) {
	var parts []string
	for column, value := range map[string]*string{"user": f.User, "vm_address": f.VMAddress, "client_addr": f.ClientAddr} {
		if value != nil {
			parts, args = append(parts, column+" = ?"), append(args, *value)
		}
	}
	if f.IDs != nil {
		list, err := json.Marshal(f.IDs)
		if err != nil {
			return "", nil, err
		}
		parts, args = append(parts, "id IN (SELECT value FROM json_each(?))"), append(args, string(list))
	}
	if f.All {
		parts = append(parts, "true")
	}
	return strings.Join(parts, " AND "), args, nil
}

// RevokeTickets forgets the selected tickets and returns how many they were.
func (s *Store) RevokeTickets(ctx context.Context, filter TicketFilter) (int, error) {
	condition, args, err := filter.where()
	if condition == "" || err != nil {
		return 0, err
	}
	return s.deleteTickets(ctx, condition, args...)
}

// PurgeTickets forgets tickets that expired more than an hour before now and
// returns how many they were. The owner calls it from time to time.
func (s *Store) PurgeTickets(ctx context.Context, now time.Time) (int, error) {
	return s.deleteTickets(ctx, "expires_at < ?", now.Add(-ticketMemory).UnixMicro())
}

func (s *Store) deleteTickets(ctx context.Context, condition string, args ...any) (int, error) {
	var n int64
	err := s.change(ctx, func(ctx context.Context, tx *sql.Tx) error {
		//nolint:gosec // the condition is made of constants above, values are arguments
		result, err := tx.ExecContext(ctx, "DELETE FROM tickets WHERE "+condition, args...)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return int(n), err
}
