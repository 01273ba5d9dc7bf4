//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

const (
	// lookTwice is longer than a node needs to look at its files twice without a
	// sign of a change.
	lookTwice = 11 * time.Second
	// wellWithin is when health has to be as the files are.
	wellWithin = 6 * time.Second
)

// spoiled is a node whose files have become bad.
type spoiled struct {
	*securePlace
	name   string
	spoil  func(*testing.T, *securePlace)
	says   func(files) []string // in health and journal
	health *node.Client
}

func badFiles() []*spoiled {
	only := func(parts ...string) func(files) []string {
		return func(f files) []string { return append([]string{f.cert}, parts...) }
	}
	return []*spoiled{
		{name: "a certificate that is none", spoil: func(t *testing.T, s *securePlace) {
			put(t, s.files.cert, noise(3000))
		}, says: only("holds no certificate in PEM form")},
		{name: "an encrypted key", spoil: func(t *testing.T, s *securePlace) {
			p := s.authority.issue(t, -time.Hour, year)
			p.key = encrypted(t, s, p.key)
			s.files.put(t, p)
		}, says: func(f files) []string { return []string{f.key, "the key is encrypted", "openssl pkey"} }},
		{name: "a key of another certificate", spoil: func(t *testing.T, s *securePlace) {
			p := s.authority.issue(t, -time.Hour, year)
			p.key = s.authority.issue(t, -time.Hour, year).key
			s.files.put(t, p)
		}, says: func(f files) []string { return []string{f.cert, f.key, "do not belong together"} }},
		{name: "an expired pair", spoil: func(t *testing.T, s *securePlace) {
			s.files.put(t, s.authority.issue(t, -year, -time.Hour))
		}, says: only("expired on", "the clock of this host")},
		{name: "a pair that is not valid yet", spoil: func(t *testing.T, s *securePlace) {
			s.files.put(t, s.authority.issue(t, time.Hour, 2*year))
		}, says: only("is valid from", "the clock of this host")},
		{name: "no certificate at all", spoil: func(t *testing.T, s *securePlace) {
			if err := os.Remove(s.files.cert); err != nil {
				t.Fatal(err)
			}
		}, says: only("no such file")},
	}
}

// encrypted is a key as openssl encrypts it.
func encrypted(t *testing.T, s *securePlace, key []byte) []byte {
	t.Helper()
	out, err := run(t, s.gate, string(key), need(t, "openssl"), "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:secret")
	if err != nil || !strings.Contains(out, "ENCRYPTED") {
		t.Fatalf("openssl pkcs8: got %v and %q, want an encrypted key", err, out)
	}
	return []byte(out)
}

// Files that cannot be used change nothing but health, and are told of once.
func TestTLSBadFilesChangeNothing(t *testing.T) {
	all := badFiles()
	for _, s := range all {
		s.securePlace = newSecurePlace(t, nil)
		s.health = s.dispatcher(t)
		s.wantHealth(t, "ok", s.files.cert)
	}
	for _, s := range all {
		s.spoil(t, s.securePlace)
	}
	for _, s := range all {
		s.degraded(t)
	}
	for end := time.Now().Add(lookTwice); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		for _, s := range all {
			if got, err := shown(s.client, s.apiAt()); err != nil || !got.Equal(s.first.leaf) {
				t.Fatalf("%s: got %s and %v, want the former certificate %s", s.name, nameOf(got), err, nameOf(s.first.leaf))
			}
			s.wantHealth(t, "degraded", s.says(s.files)...)
		}
	}
	for _, s := range all {
		if n := strings.Count(s.node.Log(), "certificate that the settings want cannot be used"); n != 1 {
			t.Errorf("%s: the journal says it %d times, want once:\n%s", s.name, n, s.node.Log())
		}
		for line := range strings.Lines(s.node.Log()) {
			if strings.Contains(line, "cannot be used") {
				has(t, s.name+": the journal", line, s.says(s.files)...)
			}
		}
		s.mend(t)
	}
}

// wantHealth checks status and certificate check.
func (s *spoiled) wantHealth(t *testing.T, status string, says ...string) {
	t.Helper()
	h := healthOf(t, s.health)
	ok, detail := h.certificate()
	if h.Status != status || ok != (status == "ok") {
		t.Errorf("%s: got health %s and a check that is ok: %t, want %s", s.name, h.Status, ok, status)
	}
	has(t, s.name+": health", detail, says...)
}

// degraded waits until health says what is wrong.
func (s *spoiled) degraded(t *testing.T) {
	t.Helper()
	eventually(t, s.name+": health says so", func() bool { return healthOf(t, s.health).Status == "degraded" })
	want := s.says(s.files)
	eventually(t, fmt.Sprintf("%s: health says %q", s.name, want), func() bool {
		_, detail := healthOf(t, s.health).certificate()
		return strings.Contains(detail, want[len(want)-1])
	})
}

// mend puts a good pair into the files.
func (s *spoiled) mend(t *testing.T) {
	t.Helper()
	next := s.authority.issue(t, -time.Hour, year)
	s.files.put(t, next)
	began := time.Now()
	for healthOf(t, s.health).Status != "ok" && time.Since(began) < patience {
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began)
	t.Logf("%s: health is ok %s after good files came", s.name, took.Round(time.Millisecond))
	if took > wellWithin {
		t.Errorf("%s: health was ok after %s, want within %s", s.name, took, wellWithin)
	}
	s.wantHealth(t, "ok", s.files.cert)
	s.wantShown(t, next.leaf)
	has(t, s.name+": the journal", s.node.Log(), "can be used again")
}
