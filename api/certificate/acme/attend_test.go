package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPauses(t *testing.T) {
	network := &url.Error{Op: "Post", URL: "https://ca", Err: errors.New("reset")}
	for _, tt := range []struct {
		err  error
		want []time.Duration
	}{
		{errors.New("HTTP 400 urn:ietf:params:acme:error:dns"), []time.Duration{time.Minute, 4 * time.Minute, 16 * time.Minute, time.Hour, time.Hour}},
		{network, []time.Duration{time.Minute, 4 * time.Minute}}, // nobody knows what the authority has counted
		{fmt.Errorf("obtain: %w", notAsked{network}), []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 10 * time.Minute}},
		{notAsked{errors.New("ca_file")}, []time.Duration{5 * time.Second, 10 * time.Second}},
	} {
		for i, want := range tt.want {
			if got := pause(i+1, tt.err); got != want {
				t.Errorf("%v, failure %d: got %s, want %s", tt.err, i+1, got, want)
			}
		}
		if got := pause(1000, tt.err); got > lastPause {
			t.Errorf("failure 1000: got %s, want %s at most", got, lastPause)
		}
	}
}

func TestHowOftenACertificateIsLookedAt(t *testing.T) {
	now := time.Now()
	for life, want := range map[time.Duration]time.Duration{
		90 * 24 * time.Hour: 10 * time.Minute, 6 * 24 * time.Hour: 10 * time.Minute, time.Hour: 2 * time.Minute, time.Minute: 5 * time.Second,
	} {
		if got := every(&x509.Certificate{NotBefore: now, NotAfter: now.Add(life)}); got != want {
			t.Errorf("a life of %s: got %s, want %s", life, got, want)
		}
	}
}

func TestWhoseTurnItIs(t *testing.T) {
	n, now := newMember(t), time.Now()
	for _, step := range []struct {
		what           string
		set            func(w *work)
		open           bool
		wanted, active bool
		want           bool
	}{
		{"another node works", nil, true, false, false, false},
		{"this one does", nil, true, false, true, true},
		{"it was looked at", func(w *work) { w.next = now.Add(time.Minute) }, true, false, true, false},
		{"time has come", func(w *work) { w.next = now.Add(-time.Second) }, true, false, true, true},
		{"no challenge can be answered", nil, false, false, true, false},
		{"somebody wants another one", func(w *work) { w.next = now.Add(time.Minute) }, true, true, true, true},
		{"but the authority has refused", func(w *work) { w.err = errors.New("no") }, true, true, true, false},
		{"another node works again", nil, true, false, false, false},
		{"this one does, and waits since it was refused", nil, true, false, true, false},
		{"once more, without that", func(w *work) { w.err, w.active = nil, false }, true, false, true, true},
	} {
		if step.set != nil {
			step.set(&n.work)
		}
		n.open = step.open
		if got := n.due(step.wanted, step.active, now); got != step.want {
			t.Errorf("%s: got %t, want %t", step.what, got, step.want)
		}
	}
}

func TestAnAuthorityThatIsNotThere(t *testing.T) {
	n, cfg := newMember(t), config(t)
	n.Apply(cfg)
	n.run(t)
	n.listening(t)
	if s := n.Status(); s.Active || s.Err != nil {
		t.Errorf("another node works: got %+v, want nothing tried", s)
	}
	n.active.Store(true)
	eventually(t, "the authority was asked", func() bool { return n.Status().Err != nil })
	s := n.Status()
	if !s.Active || !strings.Contains(s.Err.Error(), "connection refused") || !strings.Contains(s.Err.Error(), cfg.Name) {
		t.Errorf("got %v, want that it refuses connections", s.Err)
	}
	if wait := time.Until(s.Next); wait <= 0 || wait > firstReach {
		t.Errorf("got the next try in %s, want %s at most", wait, firstReach)
	}
	if got := n.log.count("level=error"); got != 1 {
		t.Errorf("got %d errors logged, want one for the attempt", got)
	}
	// Other settings are tried at once, and those of no authority end it.
	cfg.CAFile = filepath.Join(t.TempDir(), "none.pem")
	n.Apply(cfg)
	eventually(t, "ca_file is looked for", func() bool { err := n.Status().Err; return err != nil && strings.Contains(err.Error(), "ca_file") })
	n.Apply(Config{})
	if s := n.Status(); s.Err != nil || s.Config.Enabled {
		t.Errorf("no authority is wanted: got %+v, want nothing", s)
	}
}

func TestCheckOfCAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	cfg := Config{Enabled: true, CAFile: file}
	for _, tt := range []struct{ text, want string }{{"", "no such file"}, {"words", "no certificate in PEM form"}} {
		if tt.text != "" {
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v, want %q and the file", err, tt.want)
		}
	}
	if err := (Config{}).Check(); err != nil {
		t.Errorf("the zero Config: got %v, want no error", err)
	}
}

func TestRenewingWhatIsNotThere(t *testing.T) {
	n, cfg := newMember(t), config(t)
	if err := Renew(t.Context(), n.dir, cfg); err == nil || !strings.Contains(err.Error(), "no certificate yet") {
		t.Errorf("got %v, want that there is none", err)
	}
}

func TestWhereTheFilesAre(t *testing.T) {
	got := Files("https://acme-v02.api.letsencrypt.org/directory", "desk.example.com")
	want := "acme/certificates/acme-v02.api.letsencrypt.org-directory/desk.example.com/desk.example.com"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, directory := range []string{"https://[fd00::1]:14000/dir", "https://ca.example:8443/a/b%20c", "https://ca.example/" + strings.Repeat("x", 180)} {
		if err := checkKey(strings.TrimPrefix(Files(directory, "a.example"), folder+"/") + ".crt"); err != nil {
			t.Errorf("%s: got %v, want a key", directory, err)
		}
	}
}
