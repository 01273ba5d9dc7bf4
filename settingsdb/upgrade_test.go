package settingsdb

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// originalDB makes a database of the original with the statements given.
func originalDB(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.db")
	raw(t, path, statements...)
	return path
}

func TestOriginalDatabasesAreUpgradedInPlace(t *testing.T) {
	for name, statements := range map[string][]string{
		"one column": {"CREATE TABLE settings (settings TEXT)", "INSERT INTO settings VALUES ('" + missionDocument + "')"},
		"odd column name and an id": {
			`CREATE TABLE settings (id INTEGER PRIMARY KEY, "odd name; with ""quotes""" VARCHAR(4000), changed TEXT)`,
			"INSERT INTO settings VALUES (7, '" + missionDocument + "', '2024-01-01')",
		},
		"stored as a blob":            {"CREATE TABLE settings (x BLOB)", "INSERT INTO settings VALUES (CAST('" + missionDocument + "' AS BLOB))"},
		"other JSON before it":        {"CREATE TABLE settings (meta TEXT, doc TEXT)", `INSERT INTO settings VALUES ('{"schema":1}', '` + missionDocument + "')"},
		"other tables and a NULL":     {"CREATE TABLE alembic (v TEXT)", "CREATE TABLE settings (a TEXT, b TEXT)", "INSERT INTO settings VALUES (NULL, '" + missionDocument + "')"},
		"in WAL mode":                 {"PRAGMA journal_mode = WAL", "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('" + missionDocument + "')"},
		"with an index and a trigger": {"CREATE TABLE settings (a TEXT UNIQUE)", "CREATE TRIGGER t AFTER INSERT ON settings BEGIN SELECT 1; END", "INSERT INTO settings VALUES ('" + missionDocument + "')"},
	} {
		t.Run(name, func(t *testing.T) {
			path := originalDB(t, statements...)
			before := mustRead(t, path)
			read, err := ReadOriginal(path)
			must(t, err)
			if !bytes.Equal(before, mustRead(t, path)) {
				t.Error("ReadOriginal changed the file")
			}
			s, err := Open(path)
			must(t, err)
			defer func() { _ = s.Close() }()
			r := current(t, s)
			if r.Number != 1 || r.Edited || len(r.Settings.ClusterKey) != 43 {
				t.Errorf("got revision %d, edited %v, cluster_key of %d characters, want 1, false, 43", r.Number, r.Edited, len(r.Settings.ClusterKey))
			}
			read.ClusterKey = r.Settings.ClusterKey
			if got, want := string(r.Settings.JSON()), string(read.JSON()); got != want || r.Settings.Targets.RequireTicket {
				t.Errorf("document: got %s, want %s", got, want)
			}
			if !bytes.Equal(before, mustRead(t, path+".original")) {
				t.Error("the copy kept beside differs from the original file")
			}
			if _, err := s.Put(context.Background(), merged(t, r.Settings, `{"disp_port":1}`), "test"); err != nil {
				t.Errorf("change after the upgrade: %v", err)
			}
		})
	}
}

func TestUpgradeHappensOnce(t *testing.T) {
	path := originalDB(t, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('"+missionDocument+"')")
	var keys []Secret
	for range 2 {
		s, err := Open(path)
		must(t, err)
		keys = append(keys, current(t, s).Settings.ClusterKey)
		must(t, s.Close())
	}
	if keys[0] != keys[1] {
		t.Error("cluster_key differs between two openings, want it kept")
	}
	if _, err := os.Stat(path + ".original.1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a second copy: got %v, want none", err)
	}
}

func TestUpgradeNeverOverwritesAnEarlierCopy(t *testing.T) {
	path := originalDB(t, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('"+missionDocument+"')")
	before := mustRead(t, path)
	writeFile(t, path+".original", []byte("precious"))
	writeFile(t, path+".original.1", []byte("precious too"))
	s, err := Open(path)
	must(t, err)
	must(t, s.Close())
	for name, want := range map[string][]byte{
		".original": []byte("precious"), ".original.1": []byte("precious too"), ".original.2": before,
	} {
		if !bytes.Equal(want, mustRead(t, path+name)) {
			t.Errorf("%s is not what it should be", name)
		}
	}
}

func TestAnInvalidOriginalIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"wrong value":  {`"api_port":8000`, `"api_port":0`, "api_port"},
		"wrong type":   {`"api_port":8000`, `"api_port":"x"`, "api_port"},
		"unknown key":  {`"ssl":false`, `"ssl":false,"colour":1`, "colour"},
		"missing keys": {`"api_key":"dispatcher-key",`, ``, "api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			document := strings.Replace(missionDocument, c.old, c.new, 1)
			path := originalDB(t, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('"+document+"')")
			before := mustRead(t, path)
			_, err := Open(path)
			var problems Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: got %v, want problems with %q and the file's name", err, c.want)
			}
			if !bytes.Equal(before, mustRead(t, path)) {
				t.Error("the file was changed")
			}
			if _, err := os.Stat(path + ".original"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a copy of a file that stays: got %v, want none", err)
			}
		})
	}
}

func TestAFailedUpgradeLeavesTheFileAsItWas(t *testing.T) {
	// A table of one of our names makes the schema fail half-way.
	path := originalDB(t, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('"+missionDocument+"')",
		"CREATE TABLE audit (theirs TEXT)")
	before := mustRead(t, path)
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: got %v, want an error with the file's name", err)
	}
	if !bytes.Equal(before, mustRead(t, path)) {
		t.Error("the file was changed")
	}
	left, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(left) != 1 {
		t.Errorf("files afterwards: got %v, want the database alone", left)
	}
}

func TestReadOriginalTakesPlainDocuments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "original.json")
	writeFile(t, path, []byte(missionDocument+"\n"))
	s, err := ReadOriginal(path)
	must(t, err)
	if s.PublicAddr != "10.254.150.136" || s.Targets.RequireTicket {
		t.Errorf("got public_addr %q, require_ticket %v, want the document's, false", s.PublicAddr, s.Targets.RequireTicket)
	}
}

func TestReadOriginalRefusesTheRest(t *testing.T) {
	dir := t.TempDir()
	upgraded := filepath.Join(dir, "ours.db")
	ours(t, upgraded)
	garbage := filepath.Join(dir, "garbage")
	writeFile(t, garbage, []byte("hello"))
	huge := filepath.Join(dir, "huge")
	writeFile(t, huge, bytes.Repeat([]byte(" "), maxImport+1))
	for path, want := range map[string]string{
		upgraded: "upgraded already", garbage: "not valid JSON", huge: "at most", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := ReadOriginal(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", filepath.Base(path), err, want)
		}
	}
}
