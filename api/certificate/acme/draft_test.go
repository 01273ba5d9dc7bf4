package acme

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (d *draft) put(t *testing.T, key, value string) {
	t.Helper()
	if err := d.Store(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// locked does something under a lock, as certmagic does.
func (d *draft) locked(t *testing.T, do func()) {
	t.Helper()
	if err := d.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	do()
	if err := d.Unlock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
}

func TestACertificateIsKeptWithItsKeyOrNotAtAll(t *testing.T) {
	n := newMember(t)
	d := newDraft(n.store)
	n.put(t, "ca/desk/desk.crt", "old")
	n.put(t, "ca/desk/desk.key", "old")
	d.locked(t, func() {
		d.put(t, "ca/desk/desk.key", "new")
		d.put(t, "ca/desk/desk.crt", "new")
		if got, err := d.Load(t.Context(), "ca/desk/desk.crt"); string(got) != "new" || err != nil {
			t.Errorf("in the draft: got %q, %v, want what was stored", got, err)
		}
		if got := n.get(t, "ca/desk/desk.key"); got != "old" {
			t.Errorf("in the store: got %q before the lock is given back, want the old key", got)
		}
	})
	if got := n.get(t, "ca/desk/desk.crt") + n.get(t, "ca/desk/desk.key"); got != "newnew" || d.err != nil {
		t.Errorf("got %q, %v, want both", got, d.err)
	}
}

// certmagic deletes what it has stored when it cannot store the rest.
func TestADraftDeletesNothing(t *testing.T) {
	n := newMember(t)
	d := newDraft(n.store)
	const key = "ca/desk/desk.crt"
	n.put(t, key, "old")
	d.locked(t, func() {
		d.put(t, key, "new")
		if err := d.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	})
	if got := n.get(t, key); got != "old" {
		t.Errorf("got %q, want the old one", got)
	}
	if _, err := d.Load(t.Context(), key); !errors.Is(err, fs.ErrNotExist) || d.Exists(t.Context(), key) {
		t.Errorf("in the draft: got %v, want it gone", err)
	}
	d.locked(t, func() { d.put(t, key, "another") })
	if got := n.get(t, key); got != "another" || !d.Exists(t.Context(), key) {
		t.Errorf("stored again: got %q, want it", got)
	}
}

func TestChallengesAreKeptAtOnce(t *testing.T) {
	n := newMember(t)
	d := newDraft(n.store)
	const key = "acme/ca/challenge_tokens/desk.json"
	d.put(t, key, "x")
	if got := n.get(t, key); got != "x" {
		t.Errorf("got %q, want it", got)
	}
	if err := d.Delete(t.Context(), key); err != nil || n.get(t, key) != "" {
		t.Errorf("deleted: got %q, %v, want it gone", n.get(t, key), err)
	}
}

// A disk that takes nothing: a file is where the folder would be.
func TestNothingIsAskedForThatCouldNotBeKept(t *testing.T) {
	n, cfg := newMember(t), config(t)
	if err := os.WriteFile(filepath.Join(n.dir, folder), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDraft(n.store)
	var unasked notAsked
	if err := d.Lock(t.Context(), "x"); !errors.As(err, &unasked) || !errors.Is(err, d.err) {
		t.Errorf("Lock: got %v, want that nothing was asked", err)
	}
	err := authority{cfg, n.store, n.zap}.manage(t.Context())
	if !errors.As(err, &unasked) || !strings.Contains(err.Error(), n.dir) || strings.Contains(err.Error(), "connection refused") {
		t.Errorf("manage: got %v, want the folder in it, and the authority not asked", err)
	}
}

func TestWhatCannotBeKeptIsToldAndChangesNothing(t *testing.T) {
	n := newMember(t)
	d := newDraft(n.store)
	n.put(t, "ca/desk/desk.crt", "old")
	// The second of two files cannot take its place.
	if err := os.MkdirAll(filepath.Join(n.dir, folder, "ca/other/other.key/x"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.locked(t, func() {
		d.put(t, "ca/desk/desk.crt", "new")
		d.put(t, "ca/other/other.key", "x")
	})
	if d.err == nil || !strings.Contains(d.err.Error(), "other.key") {
		t.Errorf("got %v, want the file named", d.err)
	}
	if got := n.get(t, "ca/desk/desk.crt"); got != "new" {
		t.Errorf("another folder: got %q, want it kept", got)
	}
	if left, err := filepath.Glob(filepath.Join(n.dir, folder, "ca/*/.*")); err != nil || len(left) > 0 {
		t.Errorf("got %q, want nothing left over", left)
	}
}

// A file that cannot be read is no reason to ask for another certificate.
func TestACertificateThatCannotBeReadIsNotReplaced(t *testing.T) {
	n, cfg := newMember(t), config(t)
	crt := filepath.Join(n.dir, folder, siteKey(cfg.Directory, cfg.Name))
	if err := os.MkdirAll(filepath.Dir(crt), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(crt, make([]byte, maxValue+1), 0o600); err != nil {
		t.Fatal(err)
	}
	err := authority{cfg, n.store, n.zap}.manage(t.Context())
	if err == nil || !strings.Contains(err.Error(), crt) || strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want the file named, and nobody asked", err)
	}
	if _, err := os.Stat(crt); err != nil {
		t.Errorf("got %v, want the file as it was", err)
	}
}
