package rfb

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net/netip"
	"time"
)

// VeNCrypt has no RFC. The community's description of the protocol (rfbproto, "VeNCrypt")
// and what TigerVNC and QEMU send are followed.
const (
	venCryptMajor, venCryptMinor = 0, 2

	venCryptVersionOK = 0 // answers a version; anything else is no
	venCryptTypeOK    = 1 // answers a sub-type; anything else is no
)

// enterTLS agrees on a sub-type, verifies the VM's certificate and leaves v.conn encrypted.
func (v *vm) enterTLS(ctx context.Context) (Type, error) {
	if err := v.agreeVeNCrypt(); err != nil {
		return invalid, err
	}
	t, err := v.agreeSubType()
	if err != nil {
		return invalid, err
	}
	return t, v.startTLS(ctx)
}

func (v *vm) agreeSubType() (Type, error) {
	offered, err := v.readSubTypes()
	if err != nil {
		return invalid, err
	}
	t, unsuitable := chooseSub(offered, v.means)
	if unsuitable != nil {
		unsuitable.Unencrypted = v.fallback
		return invalid, unsuitable
	}
	if err := v.writeU32(uint32(t)); err != nil {
		return invalid, err
	}
	answer, err := v.readByte()
	if err == nil && answer != venCryptTypeOK {
		err = v.fail(Refused, "it offers %s and then refuses it: look at its certificate and key", t)
	}
	return t, err
}

func (v *vm) agreeVeNCrypt() error {
	v.step = "version of VeNCrypt"
	var said [2]byte
	if err := v.read(said[:]); err != nil {
		return err
	}
	if said[0] == 0 && said[1] < venCryptMinor {
		e := v.fail(NoCommonType, "it speaks VeNCrypt %d.%d, 0.2 is spoken here", said[0], said[1])
		e.Unencrypted = v.fallback
		return e
	}
	if err := v.write(venCryptMajor, venCryptMinor); err != nil {
		return err
	}
	answer, err := v.readByte()
	if err == nil && answer != venCryptVersionOK {
		return v.fail(Protocol, "it says VeNCrypt %d.%d and then refuses 0.2", said[0], said[1])
	}
	return err
}

func (v *vm) readSubTypes() ([]Type, error) {
	v.step = "types of VeNCrypt"
	count, err := v.readByte()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 4*int(count))
	if err := v.read(b); err != nil {
		return nil, err
	}
	types := make([]Type, count)
	for i := range types {
		types[i] = Type(binary.BigEndian.Uint32(b[4*i:]))
	}
	return types, nil
}

func (v *vm) startTLS(ctx context.Context) error {
	v.step = "TLS handshake"
	conn := tls.Client(v.conn, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         v.trust.sni(),
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it, with a pin and in our words
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) > 0 {
				v.report.Certificate = fingerprint(s.PeerCertificates[0])
			}
			return v.trust.check(s.PeerCertificates, time.Now())
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			// With TLS 1.3 it says no only after the handshake.
			v.hint = "; it asks its clients for a certificate, and the gateway has none (QEMU: verify-peer=off)"
			return &tls.Certificate{}, nil
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return v.brokenTLS(err)
	}
	v.conn = conn
	return nil
}

// sni is the name to ask a VM for. An address is none.
func (v verifier) sni() string {
	if _, err := netip.ParseAddr(v.name); err == nil {
		return ""
	}
	return v.name
}
