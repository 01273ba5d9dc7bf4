package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"vdi-gateway/api/certificate"
	"vdi-gateway/settingsdb"
)

// trustFlag says whom a command believes to be the node, where that speaks TLS.
type trustFlag struct {
	CA          string `name:"ca" placeholder:"FILE" help:"Certificates in PEM form, one of which has to vouch for the node's (default: those of the system)."`
	Fingerprint string `placeholder:"SHA256" help:"SHA-256 of the node's certificate, as vdi-gateway cert show prints it there; nothing else counts then."`
}

// config is how to speak TLS to a node. The name is that of the URL.
func (f trustFlag) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.Fingerprint != "" {
		return pinned(f.Fingerprint)
	}
	if f.CA == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca: %s holds no certificate in PEM form", f.CA)
	}
	return cfg, nil
}

// unwelcome is why an answer is not taken, though somebody answers.
type unwelcome string

func (u unwelcome) Error() string { return string(u) }

// pinned accepts one certificate only.
func pinned(fingerprint string) (*tls.Config, error) {
	wanted := strings.ToUpper(strings.ReplaceAll(fingerprint, ":", ""))
	if len(wanted) != 64 || strings.Trim(wanted, "0123456789ABCDEF") != "" {
		return nil, errors.New("--fingerprint must be the SHA-256 of a certificate: 64 hexadecimal digits, with colons or without")
	}
	return &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, //nolint:gosec // the very certificate is known
		VerifyConnection: func(s tls.ConnectionState) error {
			got := certificate.Fingerprint(s.PeerCertificates[0].Raw)
			if strings.ReplaceAll(got, ":", "") != wanted {
				return unwelcome("the certificate there has the fingerprint " + got + ", not that of --fingerprint")
			}
			return nil
		},
	}, nil
}

// newClient talks to the API at base. It follows no redirect: that would show the
// key to somebody else, or has shown it already.
func newClient(base, key string, secure *tls.Config) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = secure, false
	return &client{base: base, key: key, http: http.Client{
		Timeout: callTime, Transport: transport,
		CheckRedirect: func(to *http.Request, _ []*http.Request) error {
			return unwelcome("it wants to be asked at " + to.URL.Scheme + "://" + to.URL.Host + " instead")
		},
	}}
}

// nodeClient talks to a node of the document, at one of its addresses.
func nodeClient(s settingsdb.Settings, node netip.Addr) *client {
	var secure *tls.Config
	scheme := "http"
	if s.SSL {
		scheme, secure = "https", certificate.Member(s.ClusterKey.Reveal())
	}
	return newClient(origin(scheme, netip.AddrPortFrom(node, port(s.APIPort)).String()), s.APIKey.Reveal(), secure)
}

// origin is the URL of a server at host:port. The zone of a host is escaped there
// (RFC 6874).
func origin(scheme, at string) string { return (&url.URL{Scheme: scheme, Host: at}).String() }

// presented are the certificates that a node shows, whoever vouches for them; none:
// the node speaks no TLS.
func presented(ctx context.Context, addr string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it only looks
	if err := secure.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, nil
	}
	return secure.ConnectionState().PeerCertificates, nil
}

// untrusted tells whether err is about who is at the other end.
func untrusted(err error) bool {
	var unverified *tls.CertificateVerificationError
	return errors.As(err, &unverified)
}
