package main

import (
	"bytes"
	"os"
	"testing"

	"vdi-gateway/settingsdb"
)

func TestWhenTheTableGoes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		left   leftover
		asked  bool
		result string
		want   bool
	}{
		{"stopped on purpose", leftover{steered: true}, false, "success", true},
		{"killed", leftover{steered: true}, false, "signal", false},
		{"by the watchdog", leftover{steered: true}, false, "watchdog", false},
		{"it failed", leftover{steered: true}, false, "exit-code", false},
		{"by hand", leftover{steered: true}, false, "", false},
		{"by hand, asked for", leftover{steered: true}, true, "", true},
		{"the kernel never carried anything", leftover{}, true, "success", false},
		{"the node runs", leftover{steered: true, running: true}, true, "success", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := clears(tt.left, tt.asked, tt.result); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// What systemd runs after the service ended must not be in the way of the next start, nor
// change what it looks at.
func TestReleaseLeavesTheDatabaseAlone(t *testing.T) {
	own := loopback(t.Name())
	db := newDatabase(t, testSettings(t, own, nil))
	store, err := settingsdb.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SetState(t.Context(), steeredKey, "true"); err != nil {
		t.Fatal(err)
	}
	left, err := lookAt(t.Context(), db) // beside the store
	if err != nil || !left.steered || left.running {
		t.Errorf("got %+v and %v, want a node that has ended and had a table", left, err)
	}
	if err := store.Lock(); err != nil {
		t.Fatal(err)
	}
	if left, err = lookAt(t.Context(), db); err != nil || !left.running {
		t.Errorf("got %+v and %v, want a node that runs", left, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	if left, err = lookAt(t.Context(), db); err != nil || left.running {
		t.Errorf("got %+v and %v, want a node that has ended", left, err)
	}
	if after, err := os.ReadFile(db); err != nil || !bytes.Equal(before, after) {
		t.Errorf("got a changed database and %v, want it as it was", err)
	}
}
