package certificate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// awaiting is a Keeper in a folder of its own, a Config that awaits a certificate of
// an authority there, and the files in which it comes.
func awaiting(t *testing.T) (*Keeper, *logged, Config, files) {
	t.Helper()
	dir := t.TempDir()
	k, log := newKeeper(t, Deps{Dir: dir})
	site := filepath.Join(dir, "acme", "desk")
	if err := os.MkdirAll(site, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Enabled: true, Issued: "acme/desk/desk.example", Names: []string{"desk.example"}}
	return k, log, cfg, files{site, filepath.Join(site, "desk.example.crt"), filepath.Join(site, "desk.example.key")}
}

func (k *Keeper) wantFault(t *testing.T, when, want string) {
	t.Helper()
	fault := k.Status().Fault
	switch {
	case want == "" && fault != nil:
		t.Errorf("%s: got the fault %v, want none", when, fault)
	case want != "" && (fault == nil || !strings.Contains(fault.Error(), want)):
		t.Errorf("%s: got the fault %v, want %q", when, fault, want)
	}
}

func TestWhatAnAuthorityIsToIssueIsAwaited(t *testing.T) {
	k, log, cfg, f := awaiting(t)
	if err := k.Check(cfg); err != nil {
		t.Errorf("Check: got %v, want no error", err)
	}
	if err := k.Apply(cfg); err != nil {
		t.Fatalf("Apply: got %v, want no error", err)
	}
	if p := k.Status().Pair; !p.SelfSigned || log.count("level=error") != 0 {
		t.Errorf("before it is issued: got %s and %d errors, want a self-signed one and none", p.From, log.count("level=error"))
	}
	k.wantFault(t, "before it is issued", "issued no certificate yet")
	if _, err := Find(cfg, k.deps); err == nil || !strings.Contains(err.Error(), "issued no certificate yet") {
		t.Errorf("Find: got %v, want that none is issued", err)
	}
	f.fill(t, newAuthority(t), "desk.example", -hour, hour)
	k.refresh(time.Now())
	k.wantFault(t, "issued", "")
	if p := k.Status().Pair; p.SelfSigned || p.From != f.cert {
		t.Errorf("issued: got %s, want %s", p.From, f.cert)
	}
	if p, err := Find(cfg, k.deps); err != nil || p.From != f.cert {
		t.Errorf("Find: got %v, want %s", err, f.cert)
	}
}

func TestWhatAnAuthorityIssuedStaysWhileItIsGood(t *testing.T) {
	k, _, cfg, f := awaiting(t)
	a := newAuthority(t)
	f.fill(t, a, "desk.example", -hour, hour)
	if err := k.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	issued := k.Status().Pair
	write(t, f.key, keyPEM(newKey(t))) // of the next pair, whose certificate is on its way
	k.refresh(time.Now())
	k.wantFault(t, "half a pair", "do not belong together")
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	k.refresh(time.Now())
	k.wantFault(t, "removed", "issued no certificate yet")
	other := cfg
	other.Issued = "acme/other/other.example"
	if err := k.Apply(other); err != nil {
		t.Errorf("another name: got %v, want no error", err)
	}
	if got := k.Status().Pair; !got.same(issued) {
		t.Errorf("got %s, want the one that was issued", got.From)
	}
	k.refresh(issued.Leaf.NotAfter.Add(time.Minute))
	if got := k.Status().Pair; !got.SelfSigned {
		t.Errorf("expired and gone: got %s, want a self-signed one", got.From)
	}
}

func TestAnExpiredCertificateOfAnAuthorityIsUsedAtAStartOnly(t *testing.T) {
	k, _, cfg, f := awaiting(t)
	f.fill(t, newAuthority(t), "desk.example", -2*hour, -hour)
	if err := k.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got := k.Status().Pair; got.SelfSigned {
		t.Errorf("at a start: got %s, want the expired one", got.From)
	}
	k.wantFault(t, "at a start", "expired")
	k, _ = newKeeper(t, k.deps)
	if err := k.Apply(Config{Enabled: true, Names: cfg.Names}); err != nil {
		t.Fatal(err)
	}
	if err := k.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if got := k.Status().Pair; !got.SelfSigned {
		t.Errorf("after a self-signed one: got %s, want that", got.From)
	}
}

// The first certificate comes with folders that were not there: they are not waited for.
func TestWhatIsIssuedIsTakenAtOnce(t *testing.T) {
	k, _ := newKeeper(t, Deps{Dir: t.TempDir()})
	defer running(t, k)()
	cfg := Config{Enabled: true, Issued: "acme/certificates/ca/desk/desk", Names: []string{"desk.example"}}
	if err := k.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(k.deps.Dir, "acme/certificates/ca/desk")
	if err := os.MkdirAll(site, 0o700); err != nil {
		t.Fatal(err)
	}
	f := files{site, filepath.Join(site, "desk.crt"), filepath.Join(site, "desk.key")}
	a := newAuthority(t)
	for range 2 { // the second one is renewed
		was := k.Status().Pair
		f.fill(t, a, "desk.example", -hour, hour)
		eventually(t, "it serves", lookEvery-time.Second, func() bool { return k.Status().Fault == nil && !k.Status().Pair.same(was) })
	}
}
