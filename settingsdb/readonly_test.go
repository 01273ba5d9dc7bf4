package settingsdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReadOnlyBesideANode(t *testing.T) {
	s := created(t)
	if err := s.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetState(t.Context(), "drain", "true"); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := r.State(t.Context(), "drain"); err != nil || got != "true" {
		t.Errorf("got %q and %v, want what the node has written", got, err)
	}
	if got, want := current(t, r).Number, current(t, s).Number; got != want {
		t.Errorf("got revision %d, want %d", got, want)
	}
	if err := r.SetState(t.Context(), "drain", ""); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a change: got %v, want ErrReadOnly", err)
	}
	if locked, err := r.Locked(); err != nil || !locked {
		t.Errorf("got %t and %v, want the node noticed", locked, err)
	}
}

// What a killed node has written last is in a journal that has to be played back.
func TestReadOnlyAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	source := created(t)
	if err := source.SetState(t.Context(), "drain", "true"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} { // without -shm, as after a power cut
		writeFile(t, path+suffix, mustRead(t, source.Path()+suffix))
	}
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := r.State(t.Context(), "drain"); err != nil || got != "true" {
		t.Errorf("got %q and %v, want what was written last", got, err)
	}
}

func TestReadOnlyMakesAndConvertsNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReadOnly(filepath.Join(dir, "none.db")); !errors.Is(err, ErrNotExist) {
		t.Errorf("no file: got %v, want ErrNotExist", err)
	}
	original := filepath.Join(dir, "original.db")
	raw(t, original, "CREATE TABLE settings (data TEXT)", "INSERT INTO settings VALUES ('{}')")
	before := mustRead(t, original)
	if _, err := OpenReadOnly(original); !errors.Is(err, ErrNotExist) {
		t.Errorf("an original database: got %v, want ErrNotExist", err)
	}
	if string(mustRead(t, original)) != string(before) {
		t.Error("the original database was changed")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("got %v and %v, want the original database alone", list, err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	raw(t, foreign, "CREATE TABLE cats (name TEXT)")
	if _, err := OpenReadOnly(foreign); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign database: got %v, want ErrForeign", err)
	}
}

// Root sets up what a node uses that runs as somebody else.
func TestFilesOfRootAreGivenToTheFolderOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const somebody = 54321
	dir := t.TempDir()
	if err := os.Chown(dir, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	fresh, err := Fresh(parsed("10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Create(filepath.Join(dir, "settings.db"), fresh, "root")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetState(context.Background(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != somebody {
			t.Errorf("%s belongs to %d, want %d", entry.Name(), uid, somebody)
		}
	}
	if len(list) < 3 {
		t.Errorf("got %v, want the database, its journal and its lock", list)
	}
}
