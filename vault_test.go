package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway"
	"vdi-gateway/settingsdb"
)

func TestVault(t *testing.T) {
	database := filepath.Join(t.TempDir(), "settings.db")
	v := newVault(database)
	sealed, err := v.seal([]byte("a"), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.seal([]byte("a"), []byte("secret"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, again) {
		t.Errorf("got %x and %x, %v", sealed, again, err)
	}
	reopened := newVault(database) // as after a restart
	if plain, err := reopened.open([]byte("a"), sealed); err != nil || string(plain) != "secret" {
		t.Errorf("got %q, %v", plain, err)
	}
	sealed[len(sealed)-1] ^= 1
	for name, of := range map[string]struct{ name, sealed []byte }{
		"changed": {[]byte("a"), sealed}, "of another name": {[]byte("b"), again}, "short": {[]byte("a"), again[:5]}, "none": {[]byte("a"), nil},
	} {
		if plain, err := reopened.open(of.name, of.sealed); !errors.Is(err, errSealedElsewhere) {
			t.Errorf("%s: got %q, %v", name, plain, err)
		}
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(database), "settings.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v: want a file that nobody else reads", info, err)
	}
}

func TestVaultWithABadKeyFile(t *testing.T) {
	good := strings.Repeat("0f", vaultKeySize) + "\n"
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"readable by others": {good, 0o640, "chmod 600"},
		"half written":       {good[:20], 0o600, "32 bytes in hex"},
		"empty":              {"", 0o600, "32 bytes in hex"},
		"too long":           {good[:64] + "00", 0o600, "32 bytes in hex"},
		"no hex":             {strings.Repeat("x", 64), 0o600, "32 bytes in hex"},
	} {
		database := filepath.Join(t.TempDir(), "settings.db")
		path := newVault(database).path
		if err := os.WriteFile(path, []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := newVault(database).seal(nil, nil); err == nil || !strings.Contains(err.Error(), file.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q and the file's name", name, err, file.want)
		}
	}
}

func TestVaultsOfOneDatabaseAtOnce(t *testing.T) {
	database := filepath.Join(t.TempDir(), "settings.db")
	type sealed struct {
		text []byte
		err  error
	}
	made := make(chan sealed)
	for range 8 {
		go func() { text, err := newVault(database).seal(nil, []byte("x")); made <- sealed{text, err} }()
	}
	for range 8 {
		s := <-made
		if _, err := newVault(database).open(nil, s.text); err != nil || s.err != nil {
			t.Fatal(err, s.err)
		}
	}
}

// A copy of the database alone tells no password of a VM.
func TestTicketsAreSealedAtRest(t *testing.T) {
	path := newDatabase(t, testSettings(t, loopback(t.Name()), nil))
	store, err := settingsdb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, tickets := t.Context(), &ticketStore{db: store, cluster: newCluster(log), vault: newVault(path)}
	want := gateway.TicketRequest{
		VMAddr: "10.1.2.3", VMPort: 5901, MaxUses: 2,
		Desktop: gateway.Desktop{User: "vm-user-of-ada", Password: "vm-password-of-ada", Trust: &gateway.Trust{ServerName: "desktop"}, ViewOnly: true},
	}
	hash := [32]byte{1, 2, 3}
	if err := tickets.Put(ctx, hash, "id", want, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := tickets.Use(ctx, hash, time.Now())
		if err != nil || got.Desktop.Password != want.Desktop.Password || got.Desktop.User != want.Desktop.User ||
			*got.Desktop.Trust != *want.Desktop.Trust || !got.Desktop.ViewOnly {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	for _, file := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"vm-user-of-ada", "vm-password-of-ada"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s has %q", filepath.Base(file), secret)
			}
		}
		if file == path+"-wal" && !bytes.Contains(b, []byte("10.1.2.3")) {
			t.Error("the ticket is not where this test looks")
		}
	}
	if err := tickets.Return(ctx, hash); err != nil {
		t.Fatal(err)
	}
	key := tickets.vault.path
	chmod := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
	}
	tickets.vault = newVault(path)
	chmod(0o644)
	if _, err := tickets.Use(ctx, hash, time.Now()); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v while others may read the key, want to hear what to do", err)
	}
	chmod(0o600)
	if _, err := tickets.Use(ctx, hash, time.Now()); err != nil {
		t.Errorf("got %v with the key mended, want the use that was not had", err)
	}
	if err := errors.Join(os.Remove(key), tickets.Return(ctx, hash)); err != nil {
		t.Fatal(err)
	}
	tickets.vault = newVault(path)
	if _, err := tickets.Use(ctx, hash, time.Now()); !errors.Is(err, gateway.ErrExpired) {
		t.Errorf("got %v after the key was lost, want it to be over", err)
	}
}
