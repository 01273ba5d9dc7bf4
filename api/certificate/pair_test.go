package certificate

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const hour = time.Hour

func TestPairsOfEveryKindOfKeyLoad(t *testing.T) {
	a := newAuthority(t)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	pkcs8 := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(rsaKey))}))
	ec := newKey(t)
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	for name, tt := range map[string]struct {
		cert *x509.Certificate
		key  string
	}{
		"RSA":                          {a.issued(t, "x", rsaKey, time.Now(), time.Now().Add(hour)), keyPEM(rsaKey)},
		"RSA in PKCS 8":                {a.issued(t, "x", rsaKey, time.Now(), time.Now().Add(hour)), pkcs8},
		"Ed25519":                      {a.issued(t, "x", ed, time.Now(), time.Now().Add(hour)), keyPEM(ed)},
		"ECDSA behind its parameters":  {a.issued(t, "x", ec, time.Now(), time.Now().Add(hour)), params + keyPEM(ec)},
		"a key behind its certificate": {a.issued(t, "x", ec, time.Now(), time.Now().Add(hour)), certPEM(a.cert) + keyPEM(ec)},
	} {
		f := newFiles(t)
		write(t, f.cert, "Some words first\n"+certPEM(tt.cert, a.cert))
		write(t, f.key, tt.key)
		p, err := Load(f.cert, f.key)
		if err != nil || len(p.Certificate.Certificate) != 2 || p.Leaf.DNSNames[0] != "x" {
			t.Errorf("%s: got %v, want a chain of two for x", name, err)
		}
	}
}

func TestFilesThatAreNoPairAreNamed(t *testing.T) {
	a, key := newAuthority(t), newKey(t)
	cert := a.issued(t, "desk.example", key, time.Now(), time.Now().Add(hour))
	goodCert, goodKey := certPEM(cert, a.cert), keyPEM(key)
	encrypted := string(pem.EncodeToMemory(&pem.Block{
		Type: "EC PRIVATE KEY", Bytes: []byte("key"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
	}))
	for name, tt := range map[string]struct {
		cert, key string
		want      []string
	}{
		"another key":               {goodCert, keyPEM(newKey(t)), []string{"c.pem", "k.pem", "do not belong together", "desk.example"}},
		"the authority first":       {certPEM(a.cert, cert), goodKey, []string{"belongs to certificate 2", "has to come first"}},
		"no certificate":            {goodKey, goodKey, []string{"c.pem: holds no certificate", "openssl x509"}},
		"DER":                       {string(cert.Raw), goodKey, []string{"c.pem: holds no certificate", "-inform DER"}},
		"empty":                     {"", goodKey, []string{"c.pem: holds no certificate"}},
		"half a certificate":        {goodCert[:200], goodKey, []string{"c.pem: holds no certificate"}},
		"a damaged certificate":     {certPEM(cert) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", goodKey, []string{"certificate 2 of the file is damaged"}},
		"no key":                    {goodCert, goodCert, []string{"k.pem: holds no private key"}},
		"an encrypted key":          {goodCert, encrypted, []string{"k.pem: the key is encrypted", "openssl pkey"}},
		"a key of PKCS 8 encrypted": {goodCert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", []string{"the key is encrypted"}},
		"a damaged key":             {goodCert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", []string{"k.pem: the key is damaged"}},
		"a DSA key":                 {goodCert, "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", []string{"DSA PRIVATE KEY", "RSA, ECDSA or Ed25519"}},
		"a film":                    {strings.Repeat("x", maxFile+1), goodKey, []string{"c.pem is larger than"}},
	} {
		f := newFiles(t)
		write(t, f.cert, tt.cert)
		write(t, f.key, tt.key)
		wantError(t, name, f, tt.want...)
	}
}

func wantError(t *testing.T, name string, f files, want ...string) {
	t.Helper()
	_, err := Load(f.cert, f.key)
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%s: got %v, want %q", name, err, w)
		}
	}
}

func TestWhatIsNoFileIsNamed(t *testing.T) {
	f := newFiles(t)
	wantError(t, "missing", f, "c.pem", "no such file")
	if err := os.Mkdir(f.cert, 0o700); err != nil {
		t.Fatal(err)
	}
	wantError(t, "a folder", f, "c.pem is no file")
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(f.cert, 0o600); err != nil { // would never answer
		t.Fatal(err)
	}
	wantError(t, "a pipe", f, "c.pem is no file")
}

// OpenSSL's own files, encrypted and not.
func TestFilesOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	f := newFiles(t)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f.key, "-out", f.cert, "-subj", "/CN=desk", "-days", "3")
	p, err := Load(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), openssl, "x509", "-in", f.cert, "-noout", "-fingerprint", "-sha256").Output()
	if err != nil || !strings.Contains(string(out), "="+p.Fingerprint()) {
		t.Errorf("got fingerprint %s, want that of openssl: %s, %v", p.Fingerprint(), out, err)
	}
	locked := filepath.Join(f.dir, "locked.pem")
	run("pkey", "-in", f.key, "-aes256", "-passout", "pass:secret", "-out", locked)
	wantError(t, "encrypted by openssl", files{f.dir, f.cert, locked}, "the key is encrypted")
	run("pkey", "-in", locked, "-passin", "pass:secret", "-out", locked+".open") // as the message advises
	if _, err := Load(f.cert, locked+".open"); err != nil {
		t.Errorf("decrypted as advised: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	a := newAuthority(f)
	key := newKey(f)
	f.Add([]byte(certPEM(a.cert)))
	f.Add([]byte(keyPEM(key)))
	f.Add([]byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if chain, err := parseChain(text); (err == nil) != (len(chain) > 0) {
			t.Errorf("got %d certificates and %v", len(chain), err)
		}
		if key, err := parseKey(text); (err == nil) != (key != nil) {
			t.Errorf("got key %v and %v", key, err)
		}
	})
}
