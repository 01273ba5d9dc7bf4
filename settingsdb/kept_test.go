package settingsdb

import (
	"testing"
	"time"
)

func TestKeptRowsComeBack(t *testing.T) {
	s := created(t)
	path := s.Path()
	now := time.Now().Truncate(time.Microsecond)
	write := func(rows ...KeptRow) {
		t.Helper()
		if err := s.Keep(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	write(KeptRow{"a", []byte("1"), now.Add(time.Hour)}, KeptRow{"b", []byte("2"), time.Time{}}, KeptRow{"late", []byte("3"), now})
	write(KeptRow{"a", []byte("4"), now.Add(2 * time.Hour)}, KeptRow{"c", []byte("5"), time.Time{}})
	write(KeptRow{ID: "c"}, KeptRow{ID: "never there"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	want := []KeptRow{{"a", []byte("4"), now.Add(2 * time.Hour)}, {"b", []byte("2"), time.Time{}}}
	got, err := s.Kept(t.Context(), now)
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %v (%v), want %v", got, err, want)
	}
	for i, r := range got {
		if r.ID != want[i].ID || string(r.Value) != string(want[i].Value) || !r.ExpiresAt.Equal(want[i].ExpiresAt) {
			t.Errorf("got %v, want %v", r, want[i])
		}
	}
	if err := s.ForgetKept(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Kept(t.Context(), now); err != nil || len(got) > 0 {
		t.Errorf("after all are forgotten: got %v (%v), want none", got, err)
	}
}
