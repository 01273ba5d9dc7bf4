package rfb

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"slices"
)

// venCryptNo answers a version that is not spoken here, as TigerVNC does.
const venCryptNo = 255

// enterTLS offers VeNCrypt with the sub-types of the terms and leaves c.conn encrypted.
func (c *client) enterTLS(ctx context.Context) (Type, error) {
	if err := c.offer(veNCrypt); err != nil {
		return invalid, err
	}
	if err := c.agreeVeNCrypt(); err != nil {
		return invalid, err
	}
	offered := []Type{c.terms.Type}
	if c.terms.Also != 0 {
		offered = append(offered, c.terms.Also)
	}
	t, err := c.offerSubTypes(offered)
	if err != nil {
		return invalid, err
	}
	return t, c.startTLS(ctx)
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

func (c *client) offerSubTypes(offered []Type) (Type, error) {
	c.step = "types of VeNCrypt"
	message := []byte{byte(len(offered))}
	for _, t := range offered {
		message = binary.BigEndian.AppendUint32(message, uint32(t))
	}
	if err := c.write(message...); err != nil {
		return invalid, err
	}
	chosen, err := c.readU32()
	if err == nil && !slices.Contains(offered, Type(chosen)) {
		return invalid, c.fail(Protocol, "it chooses %s, and %s was offered", Type(chosen), list(offered))
	}
	return Type(chosen), err
}
