package rfb

import (
	"context"
	"crypto/tls"
)

// venCryptNo answers a version that is not spoken here, as TigerVNC does.
const venCryptNo = 255

// enterTLS offers VeNCrypt with the one sub-type and leaves c.conn encrypted.
func (c *client) enterTLS(ctx context.Context) error {
	if err := c.offer(veNCrypt); err != nil {
		return err
	}
	if err := c.agreeVeNCrypt(); err != nil {
		return err
	}
	if err := c.offerSubType(c.terms.Type); err != nil {
		return err
	}
	return c.startTLS(ctx)
}

func (c *client) startTLS(ctx context.Context) error {
	c.step = "TLS handshake"
	cfg := c.terms.Certificate()
	if cfg == nil {
		return misconfigured("no certificate for %s", c.terms.Type)
	}
	cfg = cfg.Clone()
	cfg.SessionTicketsDisabled = true // no session is taken up again
	if err := c.write(venCryptTypeOK); err != nil {
		return err
	}
	conn := tls.Server(c.conn, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return c.brokenTLS(err)
	}
	c.conn = conn
	return nil
}

func (c *client) agreeVeNCrypt() error {
	c.step = "version of VeNCrypt"
	if err := c.write(venCryptMajor, venCryptMinor); err != nil {
		return err
	}
	var said [2]byte
	if err := c.read(said[:]); err != nil {
		return err
	}
	if said != [2]byte{venCryptMajor, venCryptMinor} {
		_ = c.write(venCryptNo) // it is sent away in any case
		return c.fail(NoCommonType, "it speaks VeNCrypt %d.%d, 0.2 is spoken here", said[0], said[1])
	}
	return c.write(venCryptVersionOK)
}

func (c *client) offerSubType(t Type) error {
	c.step = "types of VeNCrypt"
	if err := c.write(1, 0, 0, byte(t>>8), byte(t)); err != nil {
		return err
	}
	chosen, err := c.readU32()
	if err == nil && Type(chosen) != t {
		return c.fail(Protocol, "it chooses %s, and %s was offered", Type(chosen), t)
	}
	return err
}
