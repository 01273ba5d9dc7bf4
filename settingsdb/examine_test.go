package settingsdb

import (
	"database/sql"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExamineChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	if _, err := Examine(t.Context(), path); !errors.Is(err, ErrNotExist) {
		t.Errorf("no file: got %v, want ErrNotExist", err)
	}
	fresh, err := Fresh(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := Create(path, fresh, "test")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Examine(t.Context(), path) // beside it
	if err != nil || e.Revision.Number != 1 || e.Original || e.Damage != "" || e.Revision.Settings.InternalAddrs[0] != "10.0.0.1" {
		t.Errorf("got %+v and %v, want revision 1 without damage", e, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = Examine(t.Context(), path); err != nil || e.Revision.Number != 1 {
		t.Errorf("closed: got %+v and %v, want revision 1", e, err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed (%v)", err)
	}
}

func TestExamineLeavesAnOriginalAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	const document = `{"internal_addrs":["10.0.0.1"],"api_key":"dispatcher-key-of-old","cli_key":"client-key-of-old-one"}`
	for _, do := range []string{"CREATE TABLE settings (data TEXT)", "INSERT INTO settings VALUES ('" + document + "')"} {
		if _, err := db.Exec(do); err != nil {
			t.Fatal(err)
		}
	}
	_ = db.Close()
	e, err := Examine(t.Context(), path)
	if err != nil || !e.Original || e.Revision.Settings.InternalAddrs[0] != "10.0.0.1" {
		t.Errorf("got %+v and %v, want the original's document", e, err)
	}
	if _, err := ReadOriginal(path); err != nil {
		t.Errorf("afterwards: got %v, want an original still", err)
	}
}

// The audit table, which Open does not look at, is looked at here.
func TestExamineSeesDamageBeyondTheSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	fresh, err := Fresh(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := Create(path, fresh, "test")
	if err != nil {
		t.Fatal(err)
	}
	var page, size int64
	err = store.reader.QueryRow("SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = 'audit'").Scan(&page, &size)
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(strings.Repeat("\xee", int(size))), (page-1)*size)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	e, err := Examine(t.Context(), path)
	if err != nil || e.Damage == "" || e.Revision.Number != 1 {
		t.Errorf("got %+v and %v, want revision 1 and the damage", e, err)
	}
}

func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	if pid, err := Holder(path); err != nil || pid != 0 {
		t.Errorf("no database: got %d and %v, want nobody", pid, err)
	}
	fresh, err := Fresh(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := Create(path, fresh, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Lock(); err != nil {
		t.Fatal(err)
	}
	if pid, err := Holder(path); err != nil || pid != os.Getpid() {
		t.Errorf("locked: got %d and %v, want this process, %d", pid, err, os.Getpid())
	}
}

func TestHolderOf(t *testing.T) {
	const locks = "1: POSIX  ADVISORY  READ 99 fe:01:5678 128 128\n2: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 77 fe:01:5678 0 EOF\n3: x\n"
	for inode, want := range map[uint64]int{5678: 1234, 567: 0} {
		if got := holderOf(locks, 0xfe01, inode); got != want {
			t.Errorf("inode %d: got %d, want %d", inode, got, want)
		}
	}
}
