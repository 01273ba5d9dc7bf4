package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is one that tests have certificates of.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// issued is a certificate of a for key, between two times.
func (a *authority) issued(t testing.TB, name string, key crypto.Signer, from, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<60))), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: until, BasicConstraintsValid: true, IsCA: a.cert == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))))
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = a.issued(t, "authority", a.key, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	return a
}

func certPEM(chain ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

func keyPEM(key crypto.Signer) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
	case *ecdsa.PrivateKey:
		return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(k))}))
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
}

// write replaces a file by rename, as tools that renew certificates do.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

// files are a pair in a folder of its own.
type files struct{ dir, cert, key string }

func newFiles(t testing.TB) files {
	t.Helper()
	dir := t.TempDir()
	return files{dir, filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")}
}

// fill writes a pair for name that is valid between two times.
func (f files) fill(t testing.TB, a *authority, name string, from, until time.Duration) {
	t.Helper()
	key := newKey(t)
	write(t, f.cert, certPEM(a.issued(t, name, key, time.Now().Add(from), time.Now().Add(until)), a.cert))
	write(t, f.key, keyPEM(key))
}

func (f files) config() Config { return Config{Enabled: true, CertFile: f.cert, KeyFile: f.key} }

// logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func newKeeper(t testing.TB, deps Deps) (*Keeper, *logged) {
	t.Helper()
	out := &logged{}
	log := logrus.New()
	log.SetOutput(out)
	if deps.Dir == "" {
		deps.Dir = filepath.Join(t.TempDir(), "tls")
	}
	return New(deps, log), out
}

// shows tells whom the certificate that serves is for.
func (k *Keeper) shows() string {
	p := k.Status().Pair
	if p == nil {
		return ""
	}
	return strings.Join(Names(p.Leaf), " ")
}

func eventually(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", within, what)
		}
	}
}
