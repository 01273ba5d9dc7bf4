package settingsdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// created returns an open store on a fresh database in a folder of its own.
func created(t testing.TB) *Store {
	t.Helper()
	s, err := Create(filepath.Join(t.TempDir(), "settings.db"), fresh(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func current(t testing.TB, s *Store) Revision {
	t.Helper()
	r, err := s.Current(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// raw runs statements on a file without the store.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn(path, "mode=rwc"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCreateThenOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "a%b?c#d.db")
	want := fresh(t)
	s, err := Create(path, want, "first")
	if err != nil {
		t.Fatal(err)
	}
	r := current(t, s)
	if r.Number != 1 || r.Author != "first" || r.State != StateApplied || r.Previous != 0 || r.Edited || r.RollbackAt != nil {
		t.Errorf("first revision: got %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, current(t, s).Settings); diff != "" {
		t.Errorf("document after opening again (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s: got %o, want %o", name, got, want)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("files after closing: got %v, want the database alone", left)
	}
}

func TestSettingsPrintAsOneLineOfJSON(t *testing.T) {
	cli, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("the sqlite3 command is not installed")
	}
	s := created(t)
	for _, text := range []string{`{"disp_port":4201}`, `{"targets":{"ports":["1"]},"disp_addrs":["a"]}`} {
		next := merged(t, current(t, s).Settings, text)
		if _, err := s.Put(context.Background(), next, "test"); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(cli, s.Path(), "select * from settings").Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := string(next.JSON()) + "\n"; string(out) != want {
			t.Errorf("sqlite3 printed %q, want %q", out, want)
		}
	}
}

func TestTheSettingsRowCannotBeDeletedOrDoubled(t *testing.T) {
	s := created(t)
	for _, statement := range []string{"DELETE FROM settings", "INSERT INTO settings VALUES ('{}')"} {
		if _, err := s.writer.Exec(statement); err == nil {
			t.Errorf("%s: got no error, want one", statement)
		}
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	s := created(t)
	if _, err := Create(s.Path(), fresh(t), "second"); !errors.Is(err, ErrExist) {
		t.Errorf("over a database: got %v, want ErrExist", err)
	}
	if r := current(t, s); r.Author != "test" {
		t.Errorf("author afterwards: got %q, want test", r.Author)
	}
	path := filepath.Join(t.TempDir(), "settings.db")
	if err := os.WriteFile(path+"-wal", []byte("old frames"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, fresh(t), "x"); !errors.Is(err, ErrExist) || !strings.Contains(err.Error(), "settings.db-wal") {
		t.Errorf("beside a journal of another database: got %v, want ErrExist naming it", err)
	}
}

func TestMissingAndEmptyFilesAreNotThereYet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.db")
	if _, err := Open(path); !errors.Is(err, ErrNotExist) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: got %v, want ErrNotExist naming the file", err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrNotExist) {
		t.Errorf("empty: got %v, want ErrNotExist", err)
	}
	s, err := Create(path, fresh(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotOursIsNamedAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want error
	}{
		"text": {func(t *testing.T, path string) {
			writeFile(t, path, bytes.Repeat([]byte("no database at all\n"), 1000))
		}, ErrForeign},
		"short text": {func(t *testing.T, path string) { writeFile(t, path, []byte("x")) }, ErrForeign},
		"another program's database": {func(t *testing.T, path string) {
			raw(t, path, "CREATE TABLE bookmarks (url TEXT)", "INSERT INTO bookmarks VALUES ('x')")
		}, ErrForeign},
		"table settings without JSON": {func(t *testing.T, path string) {
			raw(t, path, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('x')")
		}, ErrForeign},
		"two settings rows": {func(t *testing.T, path string) {
			raw(t, path, "CREATE TABLE settings (a TEXT)",
				"INSERT INTO settings VALUES ('"+missionDocument+"')", "INSERT INTO settings VALUES ('"+missionDocument+"')")
		}, ErrForeign},
		"header only": {func(t *testing.T, path string) {
			writeFile(t, path, []byte("SQLite format 3\x00 and nothing behind"))
		}, ErrForeign},
		"newer version": {func(t *testing.T, path string) { ours(t, path); raw(t, path, "PRAGMA user_version = 999") }, ErrNewer},
		"cut off": {func(t *testing.T, path string) {
			ours(t, path)
			text := mustRead(t, path)
			writeFile(t, path, text[:len(text)/2])
		}, ErrCorrupt},
		"pages overwritten": {func(t *testing.T, path string) {
			ours(t, path)
			text := mustRead(t, path)
			for i := 4096; i < len(text); i++ {
				text[i] = byte(i * 7)
			}
			writeFile(t, path, text)
		}, ErrCorrupt},
		"no applied revision": {func(t *testing.T, path string) {
			ours(t, path)
			raw(t, path, "UPDATE history SET state = 'rejected'")
		}, ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "settings.db")
			c.make(t, path)
			before := mustRead(t, path)
			_, err := Open(path)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: got %v, want %v naming the file", err, c.want)
			}
			if _, err := Create(path, fresh(t), "test"); !errors.Is(err, ErrExist) {
				t.Errorf("Create: got %v, want ErrExist", err)
			}
			if !bytes.Equal(before, mustRead(t, path)) {
				t.Error("the file was changed, want it as it was byte for byte")
			}
		})
	}
}

func ours(t *testing.T, path string) {
	t.Helper()
	s, err := Create(path, fresh(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestARowWrittenByHandIsReportedAndDoesNotCount(t *testing.T) {
	s := created(t)
	before := current(t, s)
	raw(t, s.Path(), `UPDATE settings SET document = '{"disp_port":1}'`)
	r := current(t, s)
	if !r.Edited {
		t.Error("Edited: got false, want true")
	}
	if diff := cmp.Diff(before.Settings, r.Settings); diff != "" {
		t.Errorf("document in force (-want +got):\n%s", diff)
	}
	if _, err := s.Put(context.Background(), r.Settings, "test"); err != nil {
		t.Fatal(err)
	}
	if r := current(t, s); r.Edited || r.Number != before.Number {
		t.Errorf("after putting the document again: got revision %d, edited %v, want revision %d, false", r.Number, r.Edited, before.Number)
	}
}

func TestLockKeepsASecondNodeOut(t *testing.T) {
	first := created(t)
	second, err := Open(first.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := first.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := first.Lock(); err != nil {
		t.Errorf("the holder again: got %v, want nil", err)
	}
	if err := second.Lock(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), first.Path()) {
		t.Errorf("second node: got %v, want ErrLocked naming the file", err)
	}
	for s, want := range map[*Store]bool{first: false, second: true} {
		if got, err := s.Locked(); err != nil || got != want {
			t.Errorf("Locked: got %v and %v, want %v", got, err, want)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := second.Locked(); err != nil || got {
		t.Errorf("Locked after the node stopped: got %v and %v, want false", got, err)
	}
	if err := second.Lock(); err != nil {
		t.Errorf("after the first node stopped: got %v, want nil", err)
	}
}

func TestLockHoldsThroughASymbolicLink(t *testing.T) {
	first := created(t)
	if err := first.Lock(); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(first.Path(), link); err != nil {
		t.Fatal(err)
	}
	second, err := Open(link)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := second.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("through a link: got %v, want ErrLocked", err)
	}
}
