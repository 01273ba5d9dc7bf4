package certificate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhereThePairIsFrom(t *testing.T) {
	a, named, standard := newAuthority(t), newFiles(t), newFiles(t)
	named.fill(t, a, "named", -hour, hour)
	k, _ := newKeeper(t, Deps{DefaultCert: standard.cert, DefaultKey: standard.key})
	own := Config{Enabled: true, Names: []string{"self.example"}}
	for _, step := range []struct {
		cfg    Config
		before func()
		want   string
	}{
		{Config{}, nil, ""},
		{own, nil, "self.example"},
		{named.config(), nil, "named"},
		{own, func() { standard.fill(t, a, "standard", -hour, hour) }, "standard"},
		{named.config(), nil, "named"},
		{Config{CertFile: named.cert, KeyFile: named.key}, nil, ""},
	} {
		if step.before != nil {
			step.before()
		}
		if err := k.Apply(step.cfg); err != nil || k.shows() != step.want {
			t.Errorf("%+v: got %q, %v, want %q", step.cfg, k.shows(), err, step.want)
		}
	}
}

func TestFilesThatCannotBeUsedChangeNothing(t *testing.T) {
	a, good, bad := newAuthority(t), newFiles(t), newFiles(t)
	good.fill(t, a, "good", -hour, hour)
	expired, future := newFiles(t), newFiles(t)
	expired.fill(t, a, "expired", -2*hour, -hour)
	future.fill(t, a, "future", hour, 2*hour)
	for name, tt := range map[string]struct {
		files files
		want  string
	}{
		"missing": {bad, "no such file"},
		"expired": {expired, "expired on"},
		"future":  {future, "is valid from"},
	} {
		k, _ := newKeeper(t, Deps{})
		if err := k.Apply(good.config()); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"Check": k.Check(tt.files.config()), "Apply": k.Apply(tt.files.config())} {
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.files.dir) {
				t.Errorf("%s: %s: got %v, want %q and the file", name, what, err, tt.want)
			}
		}
		if s := k.Status(); k.shows() != "good" || s.Fault != nil {
			t.Errorf("%s: got %q and fault %v, want what was before", name, k.shows(), s.Fault)
		}
		// Other settings still can be changed when the files go bad later.
		write(t, good.key, "nothing")
		changed := good.config()
		changed.NoTLS13, changed.Names = true, []string{"new.example"}
		if err := k.Apply(changed); err != nil || k.shows() != "good" {
			t.Errorf("%s: got %q, %v, want the former pair with other settings", name, k.shows(), err)
		}
		good.fill(t, a, "good", -hour, hour)
	}
}

// A node that starts must be reachable, or nobody can mend it.
func TestAStartWithFilesThatCannotBeUsed(t *testing.T) {
	a, f := newAuthority(t), newFiles(t)
	for name, tt := range map[string]struct {
		prepare func()
		want    string
	}{
		"missing":       {func() {}, "self.example"},
		"expired":       {func() { f.fill(t, a, "old", -2*hour, -hour) }, "old"},
		"not yet valid": {func() { f.fill(t, a, "new", hour, 2*hour) }, "new"},
		"garbage":       {func() { write(t, f.cert, "garbage") }, "self.example"},
	} {
		f = newFiles(t)
		tt.prepare()
		k, log := newKeeper(t, Deps{})
		cfg := f.config()
		cfg.Names = []string{"self.example"}
		if err := k.Apply(cfg); err == nil || k.shows() != tt.want || k.Status().Fault == nil {
			t.Errorf("%s: got %q, %v, fault %v, want %q and a fault", name, k.shows(), err, k.Status().Fault, tt.want)
		}
		for range 3 {
			k.refresh(time.Now())
		}
		if n := log.count("cannot be used"); n != 1 {
			t.Errorf("%s: it was logged %d times, want once", name, n)
		}
		f.fill(t, a, "mended", -hour, hour)
		k.refresh(time.Now())
		if k.shows() != "mended" || k.Status().Fault != nil {
			t.Errorf("%s: got %q, fault %v, want the mended pair", name, k.shows(), k.Status().Fault)
		}
	}
}

func TestRenewedFilesAreTakenWhenTheyFit(t *testing.T) {
	a, f := newAuthority(t), newFiles(t)
	f.fill(t, a, "first", -hour, hour)
	k, log := newKeeper(t, Deps{})
	if err := k.Apply(f.config()); err != nil {
		t.Fatal(err)
	}
	stop := running(t, k)
	defer stop()
	key := newKey(t)
	second := certPEM(a.issued(t, "second", key, time.Now().Add(-hour), time.Now().Add(hour)), a.cert)
	write(t, f.cert, second[:len(second)/3])
	eventually(t, "the half file is noticed", 5*time.Second, func() bool { return k.Status().Fault != nil })
	write(t, f.cert, second)
	if k.shows() != "first" {
		t.Errorf("got %q, want the first while the key is missing", k.shows())
	}
	write(t, f.key, keyPEM(key))
	eventually(t, "the second serves", 5*time.Second, func() bool { return k.shows() == "second" && k.Status().Fault == nil })
	f.fill(t, a, "expired", -2*hour, -hour)
	eventually(t, "the expired one is noticed", 5*time.Second, func() bool { return k.Status().Fault != nil })
	if k.shows() != "second" || log.count("expired on") != 1 {
		t.Errorf("got %q, logged %d times, want the second, and one line", k.shows(), log.count("expired on"))
	}
	f.fill(t, a, "third", -hour, hour)
	eventually(t, "the third serves", 5*time.Second, func() bool { return k.shows() == "third" })
}

// A folder that is not there cannot be watched; and tools replace folders.
func TestAFolderThatComesLater(t *testing.T) {
	a, f := newAuthority(t), newFiles(t)
	f.fill(t, a, "later", -hour, hour)
	moved := f.dir + ".away"
	if err := os.Rename(f.dir, moved); err != nil {
		t.Fatal(err)
	}
	k, _ := newKeeper(t, Deps{DefaultCert: f.cert, DefaultKey: f.key})
	if err := k.Apply(Config{Enabled: true, Names: []string{"self.example"}}); err != nil {
		t.Fatal(err)
	}
	stop := running(t, k)
	defer stop()
	if err := os.Rename(moved, f.dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pair of the new folder serves", 2*lookEvery, func() bool { return k.shows() == "later" })
	if err := os.Rename(f.dir, moved); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the missing pair is noticed", 2*lookEvery, func() bool { return k.Status().Fault != nil })
	if k.shows() != "later" {
		t.Errorf("got %q, want the pair that served to stay", k.shows())
	}
	f2 := files{moved, filepath.Join(moved, "c.pem"), filepath.Join(moved, "k.pem")}
	f2.fill(t, a, "back", -hour, hour)
	if err := os.Rename(moved, f.dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pair is back", 2*lookEvery, func() bool { return k.shows() == "back" && k.Status().Fault == nil })
}

func running(t *testing.T, k *Keeper) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := k.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestTheSelfSignedPair(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	cfg := Config{Enabled: true, Names: []string{"desk.example", "10.0.0.1", "2001:db8::1"}}
	first, now := selfSigned(t, dir, cfg, time.Now()), time.Now()
	if again := selfSigned(t, dir, cfg, now); !again.same(first) {
		t.Error("a node that starts again has another certificate")
	}
	if mode := must(os.Stat(filepath.Join(dir, "self-signed.key"))).Mode().Perm(); mode != 0o600 {
		t.Errorf("the key has mode %o, want 600", mode)
	}
	fewer := cfg
	fewer.Names = cfg.Names[:1]
	if again := selfSigned(t, dir, fewer, now); !again.same(first) {
		t.Error("a name that is no longer needed made a new certificate")
	}
	cfg.Names = append(cfg.Names, "10.0.0.2")
	second := selfSigned(t, dir, cfg, now)
	if !covers(second.Leaf, cfg.Names) || !equalKeys(second.Leaf.PublicKey, first.Leaf.PublicKey) {
		t.Error("a new name: want it in the certificate, and the key as before")
	}
	for name, at := range map[string]time.Time{
		"a month before it ends": second.Leaf.NotAfter.Add(-29 * 24 * hour),
		"long after it ended":    second.Leaf.NotAfter.Add(9999 * hour),
		"a clock of 1970":        time.Unix(0, 0),
	} {
		p := selfSigned(t, dir, cfg, at)
		if p.same(second) || p.Validity(at) != nil || p.Validity(at.Add(selfSignedRest)) != nil {
			t.Errorf("%s: want another one that is valid then", name)
		}
	}
	renewed := must(Renew(dir, cfg.Names, now))
	if got := selfSigned(t, dir, cfg, now); !got.same(renewed) || equalKeys(got.Leaf.PublicKey, first.Leaf.PublicKey) {
		t.Error("after Renew: want its pair, with another key")
	}
}

func selfSigned(t *testing.T, dir string, cfg Config, now time.Time) *Pair {
	t.Helper()
	k, _ := newKeeper(t, Deps{Dir: dir})
	p, err := k.obtain(cfg, now)
	if err != nil || !p.SelfSigned || !covers(p.Leaf, cfg.Names) {
		t.Fatalf("got %v, %v, want a self-signed pair for %q", p, err, cfg.Names)
	}
	return p
}

func TestASelfSignedPairThatCannotBeKept(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "tls")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	k, log := newKeeper(t, Deps{Dir: blocked})
	if err := k.Apply(Config{Enabled: true, Names: []string{"self.example"}}); err != nil || k.shows() != "self.example" {
		t.Fatalf("got %q, %v, want a pair all the same", k.shows(), err)
	}
	first := k.Status().Pair
	for range 3 {
		k.refresh(time.Now())
	}
	if !k.Status().Pair.same(first) || log.count("cannot be kept") != 1 {
		t.Errorf("want one pair and one warning, got %d", log.count("cannot be kept"))
	}
}
