package acme

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is where the certificate of a Config is, without its ending.
func site(cfg Config) string { return strings.TrimSuffix(siteKey(cfg.Directory, cfg.Name), ".crt") }

// pair is two nodes that hear each other and want the same.
func pair(t *testing.T) (a, b *member, cfg Config) {
	t.Helper()
	a, b, cfg = newMember(t), newMember(t), config(t)
	a.others, b.others = []*member{b}, []*member{a}
	a.Apply(cfg)
	other := cfg
	other.Listen = freeAddr(t)
	b.Apply(other)
	return a, b, cfg
}

func TestTheOthersHaveWhatIsStoredHere(t *testing.T) {
	a, b, cfg := pair(t)
	a.run(t)
	b.run(t)
	for round := range 3 {
		for _, kind := range []string{".key", ".crt", ".json"} {
			a.put(t, site(cfg)+kind, fmt.Sprint(kind, round))
		}
		eventually(t, "the other node has the certificate with its key", func() bool {
			return b.get(t, site(cfg)+".crt") == fmt.Sprint(".crt", round) && b.get(t, site(cfg)+".key") == fmt.Sprint(".key", round)
		})
	}
}

func TestANodeThatComesBackHasWhatItMissed(t *testing.T) {
	a, b, cfg := pair(t)
	a.put(t, site(cfg)+".crt", "new")
	a.put(t, "acme/ca/users/ops/ops.key", "account")
	b.put(t, "acme/ca/users/other/other.key", "of b")
	clear(b.fresh) // it was put there before it went
	b.run(t)
	eventually(t, "it has asked", func() bool {
		return b.get(t, site(cfg)+".crt") == "new" && b.get(t, "acme/ca/users/ops/ops.key") == "account"
	})
	if got := a.get(t, "acme/ca/users/other/other.key"); got != "" {
		t.Errorf("nobody has asked b: got %q", got)
	}
	a.exchange(t.Context())
	if got := a.get(t, "acme/ca/users/other/other.key"); got != "of b" {
		t.Errorf("a has asked b: got %q, want what b has", got)
	}
}

// A certificate goes with its key: what two nodes have of one folder is never mixed.
func TestTheNewestFolderWinsAsAWhole(t *testing.T) {
	a, b, cfg := pair(t)
	for i, n := range []*member{a, b} {
		for _, kind := range []string{".key", ".crt"} {
			n.put(t, site(cfg)+kind, fmt.Sprint("node ", i))
		}
	}
	at := time.Now().Truncate(time.Second)
	a.age(t, site(cfg)+".key", at)
	b.age(t, site(cfg)+".crt", at.Add(1*time.Millisecond))
	a.age(t, site(cfg)+".crt", at.Add(2*time.Millisecond))
	b.age(t, site(cfg)+".key", at.Add(3*time.Millisecond))
	a.exchange(t.Context())
	b.exchange(t.Context())
	for _, kind := range []string{".key", ".crt"} {
		for _, n := range []*member{a, b} {
			if got := n.get(t, site(cfg)+kind); got != "node 1" {
				t.Errorf("%s: got %q, want that of the newer folder", kind, got)
			}
		}
	}
}

func TestDeletionsAreNotShared(t *testing.T) {
	a, b, cfg := pair(t)
	a.put(t, site(cfg)+".crt", "x")
	a.exchange(t.Context())
	if err := a.store.Delete(t.Context(), site(cfg)+".crt"); err != nil {
		t.Fatal(err)
	}
	b.exchange(t.Context())
	if got := b.get(t, site(cfg)+".crt"); got != "x" {
		t.Errorf("got %q, want what was there", got)
	}
	a.exchange(t.Context())
	if got := a.get(t, site(cfg)+".crt"); got != "x" {
		t.Errorf("got %q, want it back", got)
	}
}

func TestChallengesEndByThemselves(t *testing.T) {
	a, b, _ := pair(t)
	const young, old = "acme/ca/challenge_tokens/young.json", "acme/old/challenge_tokens/old.json"
	a.put(t, young, "{}")
	a.put(t, old, "{}")
	a.put(t, "acme/old/users/x/x.key", "stays")
	for _, key := range []string{old, "acme/old/users/x/x.key"} {
		a.age(t, key, time.Now().Add(-2*challengeLife))
	}
	a.exchange(t.Context())
	if got := b.get(t, young) + b.get(t, old); got != "{}" {
		t.Errorf("got %q, want the young one alone", got)
	}
	offered, err := a.store.read(t.Context(), "acme/old/challenge_tokens")
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := b.store.take(offered, time.Now()); taken || err != nil {
		t.Errorf("an old one is offered: got %t, %v, want it left", taken, err)
	}
	a.store.tidy(time.Now())
	if a.get(t, young) == "" || a.get(t, old) != "" || a.get(t, "acme/old/users/x/x.key") == "" {
		t.Error("tidied: want the old challenge gone, and nothing else")
	}
}

func TestWhatOthersOfferIsChecked(t *testing.T) {
	n := newMember(t)
	n.Apply(config(t))
	now := time.Now()
	file := File{"x", []byte("x"), now}
	many := make([]File, maxFiles+1)
	for i := range many {
		many[i] = File{fmt.Sprint("f", i), nil, now}
	}
	for name, f := range map[string]Folder{
		"out of the store":  {"../../etc", []File{file}},
		"absolute":          {"/etc", []File{file}},
		"a name with a way": {"acme/ca", []File{{"../../../x", nil, now}}},
		"a folder in it":    {"acme/ca", []File{{"x/y", nil, now}}},
		"hidden":            {"acme/ca", []File{{".new-1", nil, now}}},
		"empty":             {"acme/ca", nil},
		"many":              {"acme/ca", many},
		"large":             {"acme/ca", []File{{"x", make([]byte, maxValue+1), now}}},
	} {
		if taken, err := n.store.take(f, now); taken || err == nil {
			t.Errorf("%s: got %t, %v, want a refusal", name, taken, err)
		}
	}
	if got := n.store.survey(now); len(got) > 0 {
		t.Errorf("got %v, want nothing kept", got)
	}
}

func TestAMessageIsBounded(t *testing.T) {
	a, b, _ := pair(t)
	value := strings.Repeat("x", maxValue)
	const folders = 20 // more than a message holds
	for i := range folders {
		a.put(t, fmt.Sprintf("acme/ca/users/u%d/key", i), value)
	}
	answer, err := a.Receive(t.Context(), Message{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(answer)
	if err != nil || len(text) > 1<<20 || len(answer) == 0 {
		t.Errorf("got %d folders in %d bytes, %v, want some in less than 1 MiB", len(answer), len(text), err)
	}
	for range folders {
		b.exchange(t.Context())
	}
	if got := len(b.store.survey(time.Now())); got != folders {
		t.Errorf("asked over and over: got %d folders, want %d", got, folders)
	}
}

func TestANodeThatWantsNothingKeepsAndTellsNothing(t *testing.T) {
	a, b, cfg := pair(t)
	b.Apply(Config{})
	a.put(t, site(cfg)+".crt", "x")
	a.exchange(t.Context())
	if got := b.get(t, site(cfg)+".crt"); got != "" {
		t.Errorf("got %q, want nothing kept", got)
	}
	b.put(t, site(cfg)+".crt", "y")
	if got, err := b.Receive(t.Context(), Message{}); err != nil || got != nil {
		t.Errorf("got %v, %v, want nothing told", got, err)
	}
}

func TestWhatCannotBeKeptOfOthersIsLoggedOnceAndTold(t *testing.T) {
	a, b, cfg := pair(t)
	a.put(t, site(cfg)+".crt", "x")
	taken := filepath.Join(b.dir, folder)
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.exchange(t.Context())
		a.exchange(t.Context())
	}
	if err := b.Status().Unkept; err == nil || b.log.count("level=error") != 1 {
		t.Errorf("got %v and %d errors logged, want it told, and logged once", err, b.log.count("level=error"))
	}
	if err := os.Remove(taken); err != nil {
		t.Fatal(err)
	}
	b.exchange(t.Context())
	if err := b.Status().Unkept; err != nil || b.get(t, site(cfg)+".crt") != "x" {
		t.Errorf("mended: got %v, want it kept", err)
	}
}

func FuzzFolders(f *testing.F) {
	f.Add([]byte(`[{"Name":"acme/ca","Files":[{"Name":"x","Value":"eA==","Modified":"2026-01-01T00:00:00Z"}]}]`))
	f.Add([]byte(`[{"Name":"../x","Files":[{"Name":"..","Value":""}]}]`))
	s := newStore(f.TempDir(), func(string) {})
	f.Fuzz(func(t *testing.T, text []byte) {
		var folders []Folder
		if json.Unmarshal(text, &folders) != nil {
			return
		}
		for _, folder := range folders {
			taken, err := s.take(folder, time.Now())
			if taken && (err != nil || folder.check() != nil) {
				t.Errorf("got %v kept, %v", folder, err)
			}
		}
	})
}
