package desktop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Security types and results of RFC 6143 sections 7.1.2 and 7.1.3.
const (
	securityInvalid = 0
	securityNone    = 1
	resultOK        = 0
	resultFailed    = 1
)

const versionLength = len("RFB 003.008\n")

// errProtocol marks what the other side did against RFC 6143.
var errProtocol = errors.New("protocol error")

// handshake leads the client to where messages flow (RFC 6143 sections 7.1 to
// 7.3). The shared flag is read and ignored: this desktop is always shared.
func (c *client) handshake() error {
	if err := c.conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	minor, err := c.agreeVersion()
	if err != nil {
		return fmt.Errorf("version: %w", err)
	}
	if err := c.agreeSecurity(minor); err != nil {
		return fmt.Errorf("security: %w", err)
	}
	if _, err := c.in.ReadByte(); err != nil {
		return fmt.Errorf("client init: %w", err)
	}
	if _, err := c.conn.Write(c.desk.serverInit()); err != nil {
		return fmt.Errorf("server init: %w", err)
	}
	return c.conn.SetDeadline(time.Time{})
}

// agreeVersion returns the minor version both sides speak: 3, 7 or 8.
func (c *client) agreeVersion() (int, error) {
	if _, err := io.WriteString(c.conn, "RFB 003.008\n"); err != nil {
		return 0, err
	}
	var said [versionLength]byte
	if _, err := io.ReadFull(c.in, said[:]); err != nil {
		return 0, err
	}
	major, minor, err := parseVersion(said)
	if err != nil {
		return 0, err
	}
	if major != 3 {
		return 0, fmt.Errorf("%w: client speaks RFB %d.%d", errProtocol, major, minor)
	}
	return minor, nil
}

// parseVersion reads "RFB 003.008\n". Minor versions that were never
// published count as the published one below them (RFC 6143 section 7.1.1).
func parseVersion(b [versionLength]byte) (major, minor int, err error) {
	if string(b[:4]) != "RFB " || b[7] != '.' || b[11] != '\n' {
		return 0, 0, fmt.Errorf("%w: %q is no RFB version", errProtocol, b)
	}
	for i := range 3 {
		x, y := b[4+i]-'0', b[8+i]-'0'
		if x > 9 || y > 9 {
			return 0, 0, fmt.Errorf("%w: %q is no RFB version", errProtocol, b)
		}
		major, minor = major*10+int(x), minor*10+int(y)
	}
	switch {
	case minor < 7:
		minor = 3
	case minor > 8:
		minor = 8
	}
	return major, minor, nil
}

// agreeSecurity offers None, once. Version 3.3 is told, the others choose,
// and only 3.8 hears the result.
func (c *client) agreeSecurity(minor int) error {
	if minor == 3 {
		_, err := c.conn.Write([]byte{0, 0, 0, securityNone})
		return err
	}
	if _, err := c.conn.Write([]byte{1, securityNone}); err != nil {
		return err
	}
	chosen, err := c.in.ReadByte()
	if err != nil {
		return err
	}
	if chosen != securityNone {
		return errors.Join(
			fmt.Errorf("%w: client chose type %d, which was not offered", errProtocol, chosen),
			c.refuseSecurity(minor))
	}
	if minor == 8 {
		_, err = c.conn.Write([]byte{0, 0, 0, resultOK})
	}
	return err
}

// refuseSecurity tells why; before 3.8 there was no way to.
func (c *client) refuseSecurity(minor int) error {
	if minor < 8 {
		return nil
	}
	const reason = "only security type None is offered"
	msg := binary.BigEndian.AppendUint32(nil, resultFailed)
	msg = binary.BigEndian.AppendUint32(msg, uint32(len(reason)))
	_, err := c.conn.Write(append(msg, reason...))
	return err
}

// serverInit is the message of RFC 6143 section 7.3.2.
func (d *Desktop) serverInit() []byte {
	msg := binary.BigEndian.AppendUint16(nil, uint16(d.cfg.Width))
	msg = binary.BigEndian.AppendUint16(msg, uint16(d.cfg.Height))
	msg = nativeFormat.append(msg)
	msg = binary.BigEndian.AppendUint32(msg, uint32(len(d.cfg.Name)))
	return append(msg, d.cfg.Name...)
}
