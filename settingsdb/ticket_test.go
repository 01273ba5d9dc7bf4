package settingsdb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ticket(name string, uses int) TicketRow {
	return TicketRow{
		Hash: sha256.Sum256([]byte(name)), ID: name, Body: []byte(`{"vm_port":5901}`), User: "user of " + name,
		VMAddress: "10.1.2.3", ClientAddr: "203.0.113.7", ExpiresAt: noon.Add(time.Minute), Uses: uses,
	}
}

func kept(t *testing.T, s *Store, tickets ...TicketRow) {
	t.Helper()
	for _, row := range tickets {
		must(t, s.PutTicket(context.Background(), row))
	}
}

func TestATicketIsGoodForItsUses(t *testing.T) {
	s, ctx := created(t), context.Background()
	row := ticket("a", 2)
	kept(t, s, row)
	peeked, err := s.PeekTicket(ctx, row.Hash, noon)
	must(t, err)
	if diff := cmp.Diff(row, peeked); diff != "" {
		t.Errorf("peeked (-want +got):\n%s", diff)
	}
	for left := 1; left >= 0; left-- {
		got, err := s.UseTicket(ctx, row.Hash, noon)
		must(t, err)
		if got.Uses != left || got.ID != "a" {
			t.Errorf("used: got %+v, want ticket a with %d uses left", got, left)
		}
	}
	if _, err := s.UseTicket(ctx, row.Hash, noon); !errors.Is(err, ErrTicketSpent) {
		t.Errorf("once more: got %v, want ErrTicketSpent", err)
	}
	if _, err := s.PeekTicket(ctx, row.Hash, noon); !errors.Is(err, ErrTicketSpent) {
		t.Errorf("peek at a spent one: got %v, want ErrTicketSpent", err)
	}
}

func TestTicketsOfNoUse(t *testing.T) {
	s, ctx := created(t), context.Background()
	row := ticket("a", 1)
	kept(t, s, row)
	for name, c := range map[string]struct {
		hash [32]byte
		now  time.Time
		want error
	}{
		"unknown":              {sha256.Sum256([]byte("b")), noon, ErrTicketUnknown},
		"expired":              {row.Hash, row.ExpiresAt.Add(time.Second), ErrTicketExpired},
		"expired this instant": {row.Hash, row.ExpiresAt, ErrTicketExpired},
	} {
		if _, err := s.UseTicket(ctx, c.hash, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.UseTicket(ctx, row.Hash, row.ExpiresAt.Add(-time.Microsecond)); err != nil {
		t.Errorf("at the last moment: got %v, want it to be good", err)
	}
}

func TestAReturnedUseIsGoodAgain(t *testing.T) {
	s, ctx := created(t), context.Background()
	row := ticket("a", 1)
	kept(t, s, row)
	_, err := s.UseTicket(ctx, row.Hash, noon)
	must(t, err)
	for range 3 {
		must(t, s.ReturnTicket(ctx, row.Hash))
	}
	got, err := s.PeekTicket(ctx, row.Hash, noon)
	must(t, err)
	if got.Uses != 1 {
		t.Errorf("uses after returning more than was taken: got %d, want 1", got.Uses)
	}
	must(t, s.ReturnTicket(ctx, sha256.Sum256([]byte("unknown"))))
}

func TestConcurrentUsesNeverExceedTheTicket(t *testing.T) {
	s := created(t)
	row := ticket("a", 5)
	kept(t, s, row)
	var good, spent atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			switch _, err := s.UseTicket(context.Background(), row.Hash, noon); {
			case err == nil:
				good.Add(1)
			case errors.Is(err, ErrTicketSpent):
				spent.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if good.Load() != 5 || spent.Load() != 15 {
		t.Errorf("got %d good and %d spent, want 5 and 15", good.Load(), spent.Load())
	}
}

func TestRevokeSelects(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		filter TicketFilter
		want   []string
	}{
		"nothing set":      {TicketFilter{}, []string{"a", "b", "c"}},
		"all":              {TicketFilter{All: true}, nil},
		"user":             {TicketFilter{User: text("user of b")}, []string{"a", "c"}},
		"vm":               {TicketFilter{VMAddress: text("10.9.9.9")}, []string{"a", "b"}},
		"client":           {TicketFilter{ClientAddr: text("203.0.113.7")}, nil},
		"ids":              {TicketFilter{IDs: []string{"a", "c", "x"}}, []string{"b"}},
		"no ids":           {TicketFilter{IDs: []string{}}, []string{"a", "b", "c"}},
		"user and vm":      {TicketFilter{User: text("user of a"), VMAddress: text("10.9.9.9")}, []string{"a", "b", "c"}},
		"an empty user":    {TicketFilter{User: text("")}, []string{"a", "b", "c"}},
		"quoting in a key": {TicketFilter{User: text("' OR 1=1 --")}, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := created(t), context.Background()
			other := ticket("c", 1)
			other.VMAddress = "10.9.9.9"
			rows := []TicketRow{ticket("a", 1), ticket("b", 1), other}
			kept(t, s, rows...)
			n, err := s.RevokeTickets(ctx, c.filter)
			must(t, err)
			var left []string
			for _, row := range rows {
				switch _, err := s.PeekTicket(ctx, row.Hash, noon); {
				case err == nil && c.filter.Selects(row):
					t.Errorf("%s is left, and selected", row.ID)
				case err == nil:
					left = append(left, row.ID)
				case !c.filter.Selects(row):
					t.Errorf("%s is revoked, and not selected", row.ID)
				case !errors.Is(err, ErrTicketUnknown):
					t.Error(err)
				}
			}
			if diff := cmp.Diff(c.want, left); diff != "" || n != len(rows)-len(left) {
				t.Errorf("revoked %d, left (-want +got):\n%s", n, diff)
			}
		})
	}
}

func TestPurgeRemembersForAnHour(t *testing.T) {
	s, ctx := created(t), context.Background()
	row := ticket("a", 1)
	kept(t, s, row)
	for _, c := range []struct {
		now    time.Time
		purged int
		want   error
	}{
		{row.ExpiresAt.Add(59 * time.Minute), 0, ErrTicketExpired},
		{row.ExpiresAt.Add(61 * time.Minute), 1, ErrTicketUnknown},
	} {
		n, err := s.PurgeTickets(ctx, c.now)
		must(t, err)
		if _, err := s.UseTicket(ctx, row.Hash, c.now); n != c.purged || !errors.Is(err, c.want) {
			t.Errorf("at %v: got %d purged and %v, want %d and %v", c.now, n, err, c.purged, c.want)
		}
	}
}

func TestLiveTicketsAreBounded(t *testing.T) {
	s, ctx := created(t), context.Background()
	spent, expired := ticket("spent", 1), ticket("expired", 1)
	expired.ExpiresAt = noon.Add(-time.Second)
	kept(t, s, spent, expired)
	_, err := s.UseTicket(ctx, spent.Hash, noon)
	must(t, err)
	for i := range 3 {
		must(t, s.putTicket(ctx, ticket(fmt.Sprint(i), 1), noon, 3))
	}
	if err := s.putTicket(ctx, ticket("more", 1), noon, 3); !errors.Is(err, ErrTicketsFull) {
		t.Errorf("beyond the bound: got %v, want ErrTicketsFull", err)
	}
}

func TestTheSameTicketTwiceIsRefused(t *testing.T) {
	s := created(t)
	kept(t, s, ticket("a", 1))
	if err := s.PutTicket(context.Background(), ticket("a", 9)); err == nil {
		t.Error("got no error, want one")
	}
}

func TestTicketsAndStateSurviveARestart(t *testing.T) {
	s, ctx := created(t), context.Background()
	row := ticket("a", 1)
	kept(t, s, row)
	must(t, s.SetState(ctx, "drain", "off"))
	must(t, s.SetState(ctx, "drain", "on"))
	path := s.Path()
	must(t, s.Close())
	s, err := Open(path)
	must(t, err)
	defer func() { _ = s.Close() }()
	if _, err := s.UseTicket(ctx, row.Hash, noon); err != nil {
		t.Errorf("ticket: got %v, want it to be good", err)
	}
	for key, want := range map[string]string{"drain": "on", "nothing": ""} {
		if got, err := s.State(ctx, key); err != nil || got != want {
			t.Errorf("state %s: got %q and %v, want %q", key, got, err, want)
		}
	}
}
