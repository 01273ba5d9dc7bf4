package settingsdb

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestACopiedTicketHasTheUsesThatAreLeft(t *testing.T) {
	s, ctx := created(t), context.Background()
	row := ticket("a", 2)
	must(t, s.CopyTicket(ctx, row))
	row.Uses = 1 // another node took one
	must(t, s.CopyTicket(ctx, row))
	got, err := s.UseTicket(ctx, row.Hash, noon)
	must(t, err)
	if got.Uses != 0 || got.User != row.User {
		t.Errorf("got %+v, want the ticket of %s with no use left", got, row.User)
	}
	must(t, s.ReturnTicket(ctx, row.Hash))
	if _, err := s.UseTicket(ctx, row.Hash, noon); err != nil {
		t.Errorf("after a use was given back: %v", err)
	}
	row.Uses = 0
	must(t, s.CopyTicket(ctx, row))
	if _, err := s.UseTicket(ctx, row.Hash, noon); !errors.Is(err, ErrTicketSpent) {
		t.Errorf("got %v, want ErrTicketSpent", err)
	}
}

func TestLiveTickets(t *testing.T) {
	s, ctx := created(t), context.Background()
	spent := ticket("spent", 1)
	kept(t, s, ticket("good", 3), spent)
	_, err := s.UseTicket(ctx, spent.Hash, noon)
	must(t, err)
	spent.Uses = 0
	live, err := s.LiveTickets(ctx, noon)
	must(t, err)
	slices.SortFunc(live, func(a, b TicketRow) int { return cmp.Compare(a.ID, b.ID) })
	if diff := gocmp.Diff([]TicketRow{ticket("good", 3), spent}, live); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if late, err := s.LiveTickets(ctx, noon.Add(time.Hour)); err != nil || len(late) > 0 {
		t.Errorf("an hour later: got %v, %v, want none", late, err)
	}
}
