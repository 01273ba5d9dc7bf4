package settingsdb

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// begun begins a revision whose disp_port is port.
func begun(t *testing.T, s *Store, port int, rollbackAt *time.Time) Revision {
	t.Helper()
	next := current(t, s).Settings
	next.DispPort = port
	r, err := s.Begin(context.Background(), next, "test", rollbackAt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// story returns number, state and reason of the history, newest first.
func story(t *testing.T, s *Store) []Revision {
	t.Helper()
	revisions, err := s.History(context.Background(), 100)
	must(t, err)
	var short []Revision
	for _, r := range revisions {
		short = append(short, Revision{Number: r.Number, State: r.State, Reason: r.Reason, Previous: r.Previous})
	}
	return short
}

func TestAChangeCountsOnlyWhenApplied(t *testing.T) {
	s, ctx := created(t), context.Background()
	r := begun(t, s, 4201, nil)
	if r.Number != 2 || r.State != StatePending || r.Previous != 1 {
		t.Errorf("begun: got %+v, want pending revision 2 after 1", r)
	}
	if got := current(t, s); got.Number != 1 || got.Edited {
		t.Errorf("in force while pending: got revision %d (edited %v), want 1", got.Number, got.Edited)
	}
	must(t, s.MarkApplied(ctx, 2))
	if got := current(t, s); got.Number != 2 || got.Settings.DispPort != 4201 || got.Edited {
		t.Errorf("in force when applied: got revision %d, disp_port %d, edited %v, want 2, 4201, false", got.Number, got.Settings.DispPort, got.Edited)
	}
	begun(t, s, 4202, nil)
	must(t, s.MarkRejected(ctx, 3, "port 4202 is taken"))
	if got := current(t, s); got.Number != 2 || got.Edited {
		t.Errorf("in force after a rejected change: got revision %d, want 2", got.Number)
	}
	want := []Revision{
		{Number: 3, State: StateRejected, Reason: "port 4202 is taken", Previous: 2},
		{Number: 2, State: StateApplied, Previous: 1},
		{Number: 1, State: StateApplied},
	}
	if diff := cmp.Diff(want, story(t, s)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestOnlyAPendingRevisionIsDecided(t *testing.T) {
	s, ctx := created(t), context.Background()
	begun(t, s, 4201, nil)
	begun(t, s, 4202, nil)
	must(t, s.MarkApplied(ctx, 3))
	for name, err := range map[string]error{
		"apply an older one":  s.MarkApplied(ctx, 2),
		"apply twice":         s.MarkApplied(ctx, 3),
		"apply none":          s.MarkApplied(ctx, 9),
		"reject applied":      s.MarkRejected(ctx, 3, "x"),
		"reject none":         s.MarkRejected(ctx, 9, "x"),
		"roll back with none": s.RollBack(ctx, 9, 3, "x"),
	} {
		if !errors.Is(err, ErrNotPending) {
			t.Errorf("%s: got %v, want ErrNotPending", name, err)
		}
	}
	if _, err := s.Revision(ctx, 9); !errors.Is(err, ErrNoRevision) {
		t.Errorf("an unknown revision: got %v, want ErrNoRevision", err)
	}
	if err := s.Confirm(ctx, 2); !errors.Is(err, ErrNoRevision) {
		t.Errorf("confirm a pending one: got %v, want ErrNoRevision", err)
	}
}

func TestConfirmEndsTheWait(t *testing.T) {
	s, ctx := created(t), context.Background()
	at := time.Now().Add(time.Minute).UTC().Round(0)
	begun(t, s, 4201, &at)
	if p, err := s.PendingRollback(ctx); err != nil || p != nil {
		t.Errorf("while pending: got %v and %v, want nothing to roll back", p, err)
	}
	must(t, s.MarkApplied(ctx, 2))
	p, err := s.PendingRollback(ctx)
	must(t, err)
	if p == nil || p.Number != 2 || p.Previous != 1 || !p.RollbackAt.Equal(at) {
		t.Fatalf("applied: got %+v, want revision 2, back to 1 at %v", p, at)
	}
	must(t, s.Confirm(ctx, 2))
	must(t, s.Confirm(ctx, 2))
	if p, err := s.PendingRollback(ctx); err != nil || p != nil {
		t.Errorf("confirmed: got %v and %v, want nothing to roll back", p, err)
	}
}

func TestRollBackIsANewRevision(t *testing.T) {
	s, ctx := created(t), context.Background()
	at := time.Now()
	begun(t, s, 4201, &at)
	must(t, s.MarkApplied(ctx, 2))
	p, err := s.PendingRollback(ctx)
	must(t, err)
	former, err := s.Revision(ctx, p.Previous)
	must(t, err)
	back, err := s.Begin(ctx, former.Settings, "rollback", nil)
	must(t, err)
	must(t, s.RollBack(ctx, back.Number, p.Number, "not confirmed in time"))
	got := current(t, s)
	if got.Number != 3 || got.Settings.DispPort != 4200 || got.Edited || got.RollbackAt != nil {
		t.Errorf("in force: got %+v, want revision 3 with disp_port 4200", got)
	}
	want := []Revision{
		{Number: 3, State: StateApplied, Previous: 2},
		{Number: 2, State: StateRolledBack, Reason: "not confirmed in time", Previous: 1},
		{Number: 1, State: StateApplied},
	}
	if diff := cmp.Diff(want, story(t, s)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if err := s.RollBack(ctx, begun(t, s, 4300, nil).Number, 2, "again"); !errors.Is(err, ErrNotPending) {
		t.Errorf("undo a revision twice: got %v, want ErrNotPending", err)
	}
	if got := current(t, s).Number; got != 3 {
		t.Errorf("in force after a failed rollback: got revision %d, want 3", got)
	}
}

func TestPutKeepsTheRevisionWhenNothingChanges(t *testing.T) {
	s, ctx := created(t), context.Background()
	r, err := s.Put(ctx, current(t, s).Settings, "test")
	must(t, err)
	if r.Number != 1 {
		t.Errorf("the same document: got revision %d, want 1", r.Number)
	}
	next := merged(t, r.Settings, `{"disp_port":4201}`)
	r, err = s.Put(ctx, next, "operator")
	must(t, err)
	if r.Number != 2 || r.Previous != 1 || r.State != StateApplied {
		t.Errorf("a changed document: got %+v, want applied revision 2", r)
	}
	got := current(t, s)
	if got.Author != "operator" || got.Edited || got.At.IsZero() || time.Since(got.At) > time.Minute {
		t.Errorf("in force: got author %q at %v, edited %v", got.Author, got.At, got.Edited)
	}
}

func TestAPendingRevisionOfACrashIsRejected(t *testing.T) {
	s := created(t)
	begun(t, s, 4201, nil)
	path := s.Path()
	must(t, s.Close())
	s, err := Open(path)
	must(t, err)
	defer func() { _ = s.Close() }()
	if got := story(t, s)[0].State; got != StatePending {
		t.Errorf("opened for a look: got state %s, want pending", got)
	}
	must(t, s.Lock())
	want := Revision{Number: 2, State: StateRejected, Reason: "the node stopped before it was applied", Previous: 1}
	if diff := cmp.Diff(want, story(t, s)[0]); diff != "" {
		t.Errorf("opened for running (-want +got):\n%s", diff)
	}
}

func TestHistoryKeepsTheNewestAndWhatIsInForce(t *testing.T) {
	s, ctx := created(t), context.Background()
	at := time.Now().Add(time.Hour)
	begun(t, s, 4201, &at)
	must(t, s.MarkApplied(ctx, 2))
	// As if a thousand refused changes had followed.
	_, err := s.writer.Exec(`WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
		INSERT INTO history SELECT i, '{}', 'test', '2026-01-01T00:00:00Z', 'rejected', '', NULL, 2 FROM n`)
	must(t, err)
	r := begun(t, s, 4202, nil)
	var n, oldest int64
	must(t, s.reader.QueryRow("SELECT count(*), min(revision) FROM history WHERE revision > 2").Scan(&n, &oldest))
	if n != keptRevisions || oldest != r.Number-keptRevisions+1 {
		t.Errorf("kept: got %d from revision %d, want %d from %d", n, oldest, keptRevisions, r.Number-keptRevisions+1)
	}
	for _, number := range []int64{1, 2} {
		if _, err := s.Revision(ctx, number); err != nil {
			t.Errorf("revision %d, needed for going back: got %v, want it kept", number, err)
		}
	}
}

func TestHistoryIsNewestFirstAndLimited(t *testing.T) {
	s, ctx := created(t), context.Background()
	for port := 4201; port < 4206; port++ {
		must(t, s.MarkApplied(ctx, begun(t, s, port, nil).Number))
	}
	revisions, err := s.History(ctx, 2)
	must(t, err)
	if len(revisions) != 2 || revisions[0].Settings.DispPort != 4205 || revisions[1].Settings.DispPort != 4204 {
		t.Errorf("the two newest: got %+v, want disp_port 4205 and 4204", revisions)
	}
}

func TestAnEndedContextChangesNothing(t *testing.T) {
	s := created(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Begin(ctx, fresh(t), "test", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got := len(story(t, s)); got != 1 {
		t.Errorf("revisions: got %d, want 1", got)
	}
}
