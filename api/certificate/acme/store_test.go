package acme

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAStoreKeepsValues(t *testing.T) {
	n, ctx := newMember(t), t.Context()
	for _, value := range []string{"first", "second", ""} {
		n.put(t, "acme/ca/users/ops/ops.key", value)
		if got := n.get(t, "acme/ca/users/ops/ops.key"); got != value {
			t.Errorf("got %q, want %q", got, value)
		}
	}
	n.put(t, "acme/ca/users/ops/ops.json", "{}")
	n.put(t, "certificates/ca/desk/desk.crt", "x")
	info, err := n.store.Stat(ctx, "certificates/ca/desk/desk.crt")
	if err != nil || !info.IsTerminal || info.Size != 1 || time.Since(info.Modified) > time.Minute {
		t.Errorf("Stat: got %+v, %v, want a value of one byte", info, err)
	}
	if info, err := n.store.Stat(ctx, "acme/ca/users"); err != nil || info.IsTerminal {
		t.Errorf("Stat of a folder: got %+v, %v, want one", info, err)
	}
	for _, tt := range []struct {
		below     string
		recursive bool
		want      []string
	}{
		{"acme/ca", false, []string{"acme/ca/users"}},
		{"acme/ca/users", true, []string{"acme/ca/users/ops", "acme/ca/users/ops/ops.json", "acme/ca/users/ops/ops.key"}},
	} {
		if got, err := n.store.List(ctx, tt.below, tt.recursive); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("List %s: got %q, %v, want %q", tt.below, got, err, tt.want)
		}
	}
	if err := n.store.Delete(ctx, "acme/ca/users/ops"); err != nil || n.store.Exists(ctx, "acme/ca/users/ops/ops.key") {
		t.Errorf("Delete: got %v, want the folder gone", err)
	}
	if err := n.store.Delete(ctx, "acme/ca/users/ops"); err != nil {
		t.Errorf("Delete of nothing: got %v, want no error", err)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s, ctx := newMember(t).store, t.Context()
	for _, key := range []string{"acme/ca/none", "../passwd", "/etc/passwd"} {
		_, load := s.Load(ctx, key)
		_, stat := s.Stat(ctx, key)
		_, list := s.List(ctx, key, true)
		for what, err := range map[string]error{"Load": load, "Stat": stat, "List": list} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %q: got %v, want fs.ErrNotExist", what, key, err)
			}
		}
		if s.Exists(ctx, key) {
			t.Errorf("Exists %q: got true", key)
		}
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	n := newMember(t)
	n.put(t, "certificates/ca/desk/desk.key", "secret")
	for path, want := range map[string]fs.FileMode{
		"": 0o700, "certificates/ca/desk": 0o700, "certificates/ca/desk/desk.key": 0o600,
	} {
		info, err := os.Stat(filepath.Join(n.dir, folder, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: got mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(n.dir, folder, "certificates/ca/desk/.*")); err != nil || len(left) > 0 {
		t.Errorf("got %q, want nothing left over", left)
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	n := newMember(t)
	if err := n.store.Store(t.Context(), "a/b", make([]byte, maxValue+1)); err == nil {
		t.Error("Store: got no error, want one")
	}
	n.put(t, "a/b", "x")
	if err := os.WriteFile(filepath.Join(n.dir, folder, "a", "b"), make([]byte, maxValue+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := n.store.Load(t.Context(), "a/b"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("Load: got %v, want an error", err)
	}
}

// A value is newer than what it replaces, and than what belongs to it, though the clock
// was set back.
func TestChangesAreNewerThanWhatTheyReplace(t *testing.T) {
	n := newMember(t)
	n.put(t, "a/b", "old")
	future := time.Now().Add(24 * time.Hour)
	n.age(t, "a/b", future)
	n.put(t, "a/c", "new")
	if got := n.store.newest("a"); !got.After(future) {
		t.Errorf("got %v, want it after %v", got, future)
	}
}

func TestALockIsHeldByOne(t *testing.T) {
	s := newMember(t).store
	if err := s.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Lock(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held: got %v, want the end of the context", err)
	}
	if err := s.Lock(t.Context(), "y"); err != nil {
		t.Errorf("another: got %v, want it", err)
	}
	got := make(chan error, 1)
	go func() { got <- s.Lock(context.Background(), "x") }()
	if err := s.Unlock(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if err := <-got; err != nil {
		t.Errorf("given back: got %v, want it", err)
	}
	_ = s.Unlock(t.Context(), "x")
	if err := s.Unlock(t.Context(), "x"); err == nil {
		t.Error("given back twice: got no error, want one")
	}
}

func FuzzKeys(f *testing.F) {
	for _, key := range []string{"acme/ca/users/ops@example.com/ops.key", "a/../b", "a//b", "/a/b", "a/.b", "a/b\x00", "a/b\n", "..", "a/" + strings.Repeat("x", 300)} {
		f.Add(key)
	}
	dir := filepath.Join(f.TempDir(), "store")
	s := newStore(dir, func(string) {})
	f.Fuzz(func(t *testing.T, key string) {
		file := s.file(key)
		within := strings.HasPrefix(file, s.dir+string(filepath.Separator))
		if checkKey(key) == nil && (!within || filepath.Clean(file) != file || strings.Contains(file, "/.")) {
			t.Errorf("the key %q is allowed and leads to %q", key, file)
		}
		if checkKey(key) != nil && s.Store(t.Context(), key, nil) == nil {
			t.Errorf("the key %q is not allowed and was stored", key)
		}
	})
}
