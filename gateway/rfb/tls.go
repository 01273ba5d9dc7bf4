package rfb

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// The alerts that concern a certificate (RFC 8446 section 6.2): bad_certificate to
// unknown certificate, unknown_ca, certificate_required.
var certificateAlerts = []tls.AlertError{42, 43, 44, 45, 46, 48, 116}

// brokenTLS is what an error of a TLS handshake means.
func (p *peer) brokenTLS(err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e // the verdict on a certificate
	}
	e := p.broken(err)
	var alert *net.OpError
	switch {
	case e.Kind == Timeout:
	case errors.As(err, &alert) && alert.Op == "remote error":
		e.Kind, e.Text = Protocol, "it ends the TLS handshake"
		if onCertificate(alert.Err) {
			e.Kind, e.Text = CertificateRejected, "it does not accept the certificate of the gateway"+p.hint
		}
	case !ended(err):
		e.Kind, e.Text = Protocol, "the TLS handshake failed"
	}
	return e
}

// onCertificate reports whether the alert is about our certificate. crypto/tls keeps the
// number of an alert to itself, and tells the text of every number.
func onCertificate(alert error) bool {
	for _, a := range certificateAlerts {
		if alert.Error() == a.Error() {
			return true
		}
	}
	return false
}

// ended reports whether the connection is gone, rather than that what came is no TLS.
func ended(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.As(err, &op)
}
