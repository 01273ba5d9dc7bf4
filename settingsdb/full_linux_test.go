package settingsdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of one megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillUp leaves no free byte and returns the file that takes the space.
func fillUp(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "filler")
	file, err := os.Create(name)
	must(t, err)
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling: got %v, want ENOSPC", err)
	}
	must(t, file.Close())
	return name
}

func TestAFullDiskChangesNothing(t *testing.T) {
	dir := smallDisk(t)
	s, err := Create(filepath.Join(dir, "settings.db"), fresh(t), "test")
	must(t, err)
	defer func() { _ = s.Close() }()
	filler, ctx := fillUp(t, dir), context.Background()
	// Space that SQLite holds already can still be used for a while.
	for i := 0; err == nil && i < 2000; i++ {
		before := current(t, s)
		next := before.Settings
		next.DispPort = 10_000 + i
		if _, err = s.Put(ctx, next, "test"); err == nil {
			continue
		}
		if after := current(t, s); after.Number != before.Number || after.Edited {
			t.Errorf("in force after the failure: got revision %d, want %d", after.Number, before.Number)
		}
	}
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), s.Path()) || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("change: got %v, want ErrDiskFull naming the file", err)
	}
	for name, err := range map[string]error{
		"ticket": s.PutTicket(ctx, big(ticket("a", 1))),
		"state":  s.SetState(ctx, "k", strings.Repeat("v", 100_000)),
		"audit":  s.putAudit(ctx, make([]AuditRow, 5000)),
	} {
		if !errors.Is(err, ErrDiskFull) {
			t.Errorf("%s: got %v, want ErrDiskFull", name, err)
		}
	}
	must(t, os.Remove(filler))
	if _, err := s.Put(ctx, fresh(t), "test"); err != nil {
		t.Errorf("with space again: got %v, want nil", err)
	}
}

func big(row TicketRow) TicketRow {
	row.Body = bytes.Repeat([]byte("x"), 100_000)
	return row
}

func TestCreateOnAFullDiskLeavesNothing(t *testing.T) {
	dir := smallDisk(t)
	must(t, os.Remove(fillUp(t, dir)))
	writeFile(t, filepath.Join(dir, "most"), make([]byte, 1000<<10))
	path := filepath.Join(dir, "settings.db")
	if _, err := Create(path, fresh(t), "test"); !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want ErrDiskFull naming the file", err)
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("files afterwards: got %v, want the filler alone", left)
	}
}

func TestUpgradeOnAFullDiskLeavesTheOriginal(t *testing.T) {
	source := originalDB(t, "CREATE TABLE settings (a TEXT)", "INSERT INTO settings VALUES ('"+missionDocument+"')")
	for _, free := range []int{0, 8 << 10, 16 << 10, 24 << 10, 32 << 10} {
		t.Run(fmt.Sprint(free, " bytes left"), func(t *testing.T) {
			dir := smallDisk(t)
			path, before := filepath.Join(dir, "settings.db"), mustRead(t, source)
			writeFile(t, path, before)
			filler := fillUp(t, dir)
			info, err := os.Stat(filler)
			must(t, err)
			must(t, os.Truncate(filler, info.Size()-int64(free)))
			if _, err := Open(path); !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want ErrDiskFull naming the file", err)
			}
			if !bytes.Equal(before, mustRead(t, path)) {
				t.Error("the file was changed")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
				t.Errorf("files afterwards: got %v, want the original and the filler", left)
			}
		})
	}
}

func TestAReadOnlyFileIsNamed(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "settings.db")
	ours(t, path)
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if _, err := Open(path); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: got %v, want ErrReadOnly naming the file", err)
	}
	other := filepath.Join(dir, "other.db")
	if _, err := Create(other, fresh(t), "test"); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), other) {
		t.Errorf("Create: got %v, want ErrReadOnly naming the file", err)
	}
}
