package rfb

import (
	"context"
	"encoding/binary"
	"net"
)

// Unreachable is the reason a client is given where the caller has none. Why a desktop
// cannot be reached concerns its operator.
const Unreachable = "The desktop cannot be reached"

// Refuse tells a client, in its own protocol, that it cannot have a desktop, and closes the
// connection. The version is that of Greet; 0: nobody has greeted the client, and Refuse
// does. The reason is what a person reads, in generic words; "": Unreachable. The error
// says that the client could not be told.
func Refuse(ctx context.Context, conn net.Conn, version Version, reason string) error {
	c := newClient(conn, Terms{})
	c.report.Version = version
	err := within(ctx, conn, 0, Client, func(context.Context) error {
		if version == 0 {
			if err := c.greet(); err != nil {
				return err
			}
		}
		c.step = "refusal"
		return c.write(refusal(c.report.Version, reason)...)
	})
	_ = conn.Close()
	return err
}

// refusal is an offer of nothing (RFC 6143 section 7.1.2). Version 3.3 offers a type of
// four bytes, the others a list of so many.
func refusal(version Version, reason string) []byte {
	if version == V33 {
		return withReason([]byte{0, 0, 0, byte(invalid)}, reason)
	}
	return withReason([]byte{0}, reason)
}

// withReason is a number and a text that explains it, as in a failed SecurityResult.
func withReason(head []byte, reason string) []byte {
	if reason == "" {
		reason = Unreachable
	}
	reason = reason[:min(len(reason), maxReason)]
	head = binary.BigEndian.AppendUint32(head, uint32(len(reason)))
	return append(head, reason...)
}
