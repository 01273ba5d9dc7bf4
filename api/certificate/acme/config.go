package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/sirupsen/logrus"
)

// folder is where the store is, below the folder of all certificates.
const folder = "acme"

// Config is the complete wanted state. The zero value wants nothing.
type Config struct {
	Enabled bool
	// Directory is the URL of the authority. Who sets it agrees to its terms.
	Directory string
	Email     string // of the account; "": none
	Name      string // that the certificate is for, in lower case
	CAFile    string // who vouches for the authority; "": those of the system
	// Listen is where challenges are answered, Freebind before the address is on
	// this host.
	Listen   netip.AddrPort
	Freebind bool
	// HTTPS is the port where everybody else is sent.
	HTTPS uint16
}

// Deps is what a Manager needs of others.
type Deps struct {
	Dir    string      // of all certificates; the store is below
	Active func() bool // whether this node is to ask the authority; it must not block
	// Ask asks all other living nodes. Those that give no answer are left out.
	Ask func(context.Context, Message) [][]Folder
	Log logrus.FieldLogger
}

// Files is where the certificate and key of a name are, without .crt and .key: a path
// below Deps.Dir.
func Files(directory, name string) string {
	return folder + "/" + strings.TrimSuffix(siteKey(directory, name), ".crt")
}

// Forget removes all accounts, certificates and keys of authorities below dir: a node
// that leaves takes none along. No node may want them any more.
func Forget(dir string) error { return os.RemoveAll(filepath.Join(dir, folder)) }

func siteKey(directory, name string) string {
	return certmagic.StorageKeys.SiteCert(issuerKey(directory), name)
}

func issuerKey(directory string) string {
	return (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
}

// Check says why cfg could not work on this host.
func (c Config) Check() error {
	_, err := c.roots()
	return err
}

// roots are whom the authority's own certificate is believed; nil: the system's.
func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil //nolint:nilnil // as in a tls.Config
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.acme.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("tls.acme.ca_file: " + c.CAFile + " holds no certificate in PEM form")
	}
	return pool, nil
}
