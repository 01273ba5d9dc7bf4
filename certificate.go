package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
	"vdi-gateway/settingsdb/ciphers"
)

// certificateEnds is how soon a certificate's end is a reason to say so; of one that
// lives for days only, when a quarter of that is left.
const certificateEnds = 7 * 24 * time.Hour

// certificateChecks tell how the certificate is that users see.
func certificateChecks(s certificate.Status, names settingsdb.TLS, now time.Time) []api.Check {
	if s.Pair == nil {
		return nil
	}
	leaf, fault := s.Pair.Leaf, s.Fault
	if fault == nil {
		fault = unusable(names, leaf)
	}
	if fault == nil {
		fault = s.Pair.Validity(now)
	}
	if fault == nil && leaf.NotAfter.Sub(now) < min(certificateEnds, leaf.NotAfter.Sub(leaf.NotBefore)/4) {
		fault = fmt.Errorf("the certificate of %s ends on %s", s.Pair.From, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return []api.Check{check("certificate", fault, fmt.Sprintf("of %s, for %s, until %s, SHA-256 %s",
		s.Pair.From, strings.Join(certificate.Names(leaf), " "), leaf.NotAfter.UTC().Format(time.RFC3339), s.Pair.Fingerprint()))}
}

// unusable tells that no client of TLS 1.2 can connect: no suite fits the key.
func unusable(t settingsdb.TLS, leaf *x509.Certificate) error {
	set, err := ciphers.Parse(t.Ciphers)
	if err != nil || t.DisableTLS12 || set.Serves(leaf.PublicKey) {
		return nil //nolint:nilerr // valid settings have no such list, but where TLS 1.2 is off
	}
	return fmt.Errorf("no suite of tls.ciphers works with the key of the certificate (%s): clients without TLS 1.3 cannot connect", keyKind(leaf))
}

type certCommand struct {
	Show  certShowCommand  `cmd:"" help:"Show the certificate of this node: what for, until when, and its fingerprint."`
	Renew certRenewCommand `cmd:"" help:"Make a new self-signed certificate with a new key, or have the authority of tls.acme asked for another one; a running node takes it by itself."`
}

type certShowCommand struct{ databaseFlag }

// Run shows the certificate that the files hold, and whether the running node has
// it.
func (c *certShowCommand) Run(ctx context.Context) error {
	s, err := readSettings(ctx, c.DB)
	if err != nil {
		return err
	}
	if !s.SSL {
		return errors.New("this node speaks no TLS: set ssl to true in its settings")
	}
	p, err := certificate.Find(planCertificate(s), certificateDeps(c.DB))
	if err != nil {
		return err
	}
	if err := printCertificate(p); err != nil {
		return err
	}
	at := netip.AddrPortFrom(apiAddr(s, netip.Addr{}), port(s.APIPort)).String()
	served, err := presented(ctx, at)
	switch {
	case err != nil || len(served) == 0:
		fmt.Println("No node runs at", at, "that shows it.")
	case served[0].Equal(p.Leaf):
		fmt.Println("The node at", at, "shows it.")
	default:
		fmt.Println("The node at", at, "shows ANOTHER one, SHA-256", certificate.Fingerprint(served[0].Raw))
	}
	return p.Validity(time.Now())
}

func printCertificate(p *certificate.Pair) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	leaf := p.Leaf
	row("from", "%s", p.From)
	row("for", "%s", strings.Join(certificate.Names(leaf), " "))
	row("subject", "%s", leaf.Subject)
	row("issuer", "%s", issuer(p))
	row("valid", "%s to %s", leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	row("key", "%s", keyKind(leaf))
	row("SHA-256", "%s", p.Fingerprint())
	pin := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	row("key pin", "sha256/%s", base64.StdEncoding.EncodeToString(pin[:]))
	row("chain", "%d certificates", len(p.Certificate.Certificate))
	return w.Flush()
}

func issuer(p *certificate.Pair) string {
	if p.SelfSigned {
		return "this node itself"
	}
	return p.Leaf.Issuer.String()
}

func keyKind(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA, " + key.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

type certRenewCommand struct{ databaseFlag }

// Run makes a new self-signed pair.
func (c *certRenewCommand) Run(ctx context.Context) error {
	s, err := readSettings(ctx, c.DB)
	if err != nil {
		return err
	}
	cfg, deps := planCertificate(s), certificateDeps(c.DB)
	if cfg.Issued != "" {
		return renewIssued(ctx, s, deps)
	}
	if file := deps.File(cfg); file != "" {
		return fmt.Errorf("the certificate of this node is %s: renew that with its authority, and the node takes it by itself within seconds", file)
	}
	p, err := certificate.Renew(deps.Dir, cfg.Names, time.Now())
	if err != nil {
		return err
	}
	if err := giveFolder(deps.Dir); err != nil {
		return err
	}
	return printCertificate(p)
}

// giveFolder has what root makes in a folder beside the database belong to whoever the
// database's folder belongs to: the node may run as a user of its own.
func giveFolder(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
