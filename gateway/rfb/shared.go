package rfb

import (
	"context"
	"net"
	"time"
)

// Shared says what becomes of a client's wish in ClientInit (RFC 6143 section 7.3.1): to
// share the desktop, or to have the VM send everybody else away.
type Shared uint8

// The ways to treat the wish.
const (
	AsAsked       Shared = iota // the client decides
	AlwaysShared                // nobody is sent away
	AlwaysAlone                 // everybody else is
	sharedFlag    byte   = 1
	exclusiveFlag byte   = 0
)

// Flag is what to send in place of the client's flag.
func (s Shared) Flag(asked byte) byte {
	switch s {
	case AlwaysShared:
		return sharedFlag
	case AlwaysAlone:
		return exclusiveFlag
	}
	return asked
}

// PassInit hands the client's ClientInit to the VM, which is the first byte after both
// handshakes, with the flag that s makes of it, within limit (0: DefaultLimit). It is for
// sessions that are relayed as they are from there on; ViewOnly reads the byte itself. On an
// error, which is an *Error, both connections are closed.
func PassInit(ctx context.Context, client, vm net.Conn, s Shared, limit time.Duration) error {
	var flag byte
	err := within(ctx, client, limit, Client, func(context.Context) (err error) {
		from := peer{conn: client, side: Client, step: "ClientInit"}
		flag, err = from.readByte()
		return err
	})
	if err != nil {
		_ = vm.Close()
		return err
	}
	err = within(ctx, vm, limit, VM, func(context.Context) error {
		to := peer{conn: vm, side: VM, step: "ClientInit"}
		return to.write(s.Flag(flag))
	})
	if err != nil {
		_ = client.Close()
	}
	return err
}
