package ciphers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// suiteLine is a line of openssl ciphers -V -stdname: id, IANA's name, OpenSSL's name,
// the first version.
var suiteLine = regexp.MustCompile(`^\s*0x(..),0x(..) - (\S+)\s+- (\S+)\s+(\S+)`)

// opensslSuites are the lines of the installed OpenSSL by its names.
func opensslSuites(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").Output()
	if err != nil {
		t.Skipf("the openssl command is needed to compare with: %v", err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		if m := suiteLine.FindStringSubmatch(line); m != nil {
			found[m[4]] = m
		}
	}
	if len(found) < 50 {
		t.Fatalf("got %d suites of openssl, want at least 50", len(found))
	}
	return found
}

func TestTablesAgreeWithOpenSSL(t *testing.T) {
	installed := opensslSuites(t)
	for name, m := range installed {
		id, has := suites[name]
		switch {
		case m[5] == "TLSv1.3":
			if !suites13[name] {
				t.Errorf("%s: got no suite of TLS 1.3, want one", name)
			}
		case has:
			if got := fmt.Sprintf("%04X %s", id, tls.CipherSuiteName(id)); got != m[1]+m[2]+" "+m[3] {
				t.Errorf("%s: got %s, want %s%s %s", name, got, m[1], m[2], m[3])
			}
		case !missing[name]:
			t.Errorf("%s (%s): is in no table, want it in one", name, m[3])
		case slices.ContainsFunc(slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()), func(c *tls.CipherSuite) bool { return c.Name == m[3] }):
			t.Errorf("%s (%s): is told as missing, and Go has it", name, m[3])
		}
	}
	// What distributions leave out of their builds.
	leftOut := regexp.MustCompile(`RC4|DES|SEED|IDEA|GOST`)
	for name := range missing {
		if installed[name] == nil && !leftOut.MatchString(name) {
			t.Errorf("%s: is in the table, and openssl does not know it", name)
		}
	}
}

func TestGroupsAreOpenSSLs(t *testing.T) {
	opensslSuites(t)
	// What is empty in builds of distributions is refused by them, and so are words
	// that OpenSSL has given up.
	gone := words("COMPLEMENTOFDEFAULT LOW EXP EXPORT EXPORT40 EXPORT56 FIPS SSLv2 kDHr kDHd kDH aDH kECDHr kECDHe kECDH aECDH " +
		"kGOST kGOST18 aGOST aGOST01 aGOST12 GOST89MAC GOST94 GOST89 GOST12 3DES DES RC4 RC2 IDEA SEED MEDIUM SUITEB128C2")
	for group := range groups {
		err := exec.CommandContext(t.Context(), "openssl", "ciphers", group+":@SECLEVEL=0").Run()
		if err != nil && !gone[group] {
			t.Errorf("openssl ciphers %s: got %v, want it known", group, err)
		}
	}
}

func TestEverySuiteOfGoIsInATable(t *testing.T) {
	ids := map[uint16]bool{}
	for _, id := range suites {
		ids[id] = true
	}
	for _, c := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(c.SupportedVersions, tls.VersionTLS12) && !ids[c.ID] {
			t.Errorf("%s: is in no table, want it under OpenSSL's name", c.Name)
		}
		if slices.Contains(c.SupportedVersions, tls.VersionTLS13) && !suites13[c.Name] {
			t.Errorf("%s: got no suite of TLS 1.3, want one", c.Name)
		}
	}
}

// Every suite that Go has, weak ones too, is spoken when it is named, with the keys that
// Serves tells and no others.
func TestSuitesAreSpoken(t *testing.T) {
	elliptic, rsa := testCertificates(t)
	for name, id := range suites {
		s, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []tls.Certificate{elliptic, rsa} {
			key := c.PrivateKey.(crypto.Signer).Public()
			got, err := handshake(t, s.Suites, c)
			if spoken := err == nil && got == id; spoken != s.Serves(key) {
				t.Errorf("%s with a %T: got %s and error %v, want it spoken: %t", name, key, tls.CipherSuiteName(got), err, s.Serves(key))
			}
		}
	}
}

// handshake is one of TLS 1.2 with a client that offers all suites; the server's are
// given.
func handshake(t *testing.T, suites []uint16, c tls.Certificate) (uint16, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var all []uint16
	for _, c := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		all = append(all, c.ID)
	}
	client := tls.Client(a, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: all})
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{c}, MaxVersion: tls.VersionTLS12, CipherSuites: suites})
	done := make(chan error, 1)
	go func() {
		done <- server.HandshakeContext(t.Context())
		b.Close()
	}()
	err := client.HandshakeContext(t.Context())
	if served := <-done; err == nil {
		err = served
	}
	return client.ConnectionState().CipherSuite, err
}

func testCertificates(t *testing.T) (ec, r tls.Certificate) {
	t.Helper()
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return testCertificate(t, ecKey), testCertificate(t, rsaKey)
}

func testCertificate(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
