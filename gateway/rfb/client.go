package rfb

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// failedReason is all a client learns of what was wrong.
const failedReason = "Authentication failed"

// Terms are the one security type that a client is offered, and what it needs.
type Terms struct {
	Type Type // one of the constants; clients cannot choose another
	// Also is a second sub-type of VeNCrypt, which a client of an encrypted Type may choose
	// that cannot do the first. 0: none.
	Also Type
	// Old is offered in its place to clients of version 3.3, which do not know VeNCrypt:
	// None or VncAuth. 0: they are told that they are too old.
	Old      Type
	Password Secret // of VncAuth and X509Vnc: 1 to 8 bytes
	// Check judges who comes with X509Plain, up to 1024 bytes each. What it returns is for
	// the journal; the client hears that it failed. It has to mind ctx.
	Check func(ctx context.Context, user string, password Secret) error
	// Certificate is asked for each client of an encrypted type.
	Certificate func() *tls.Config
	Limit       time.Duration // for the whole handshake; 0: DefaultLimit
}

// Accept greets a client, agrees on a version and takes it through the one type of the
// terms. The stream stands where the client says ClientInit: conn itself, or where
// Report.Type is encrypted a *tls.Conn around it. On an error, which is an *Error, conn is
// closed.
func Accept(ctx context.Context, conn net.Conn, terms Terms) (net.Conn, Report, error) {
	return serve(ctx, conn, terms, (*client).accept)
}

// Admit is Accept for a client that was greeted already.
func Admit(ctx context.Context, conn net.Conn, version Version, terms Terms) (net.Conn, Report, error) {
	return serve(ctx, conn, terms, func(c *client, ctx context.Context) error {
		if version == 0 {
			return misconfigured("the client has not been greeted")
		}
		c.report.Version = version
		return c.admit(ctx)
	})
}

// Greet agrees on a version with a client, within limit (0: DefaultLimit). Admit or Refuse
// go on from there. On an error, which is an *Error, conn is closed.
func Greet(ctx context.Context, conn net.Conn, limit time.Duration) (Version, error) {
	c := newClient(conn, Terms{})
	err := within(ctx, conn, limit, Client, func(context.Context) error { return c.greet() })
	return c.report.Version, err
}

func serve(ctx context.Context, conn net.Conn, terms Terms, handshake func(*client, context.Context) error) (net.Conn, Report, error) {
	c := newClient(conn, terms)
	err := within(ctx, conn, terms.Limit, Client, func(ctx context.Context) error {
		if err := terms.check(); err != nil {
			return err
		}
		return handshake(c, ctx)
	})
	if err != nil {
		return nil, c.report, err
	}
	return c.conn, c.report, nil
}

// check says what is wrong with the terms. An empty password would open to everybody who
// leaves his empty; of a longer one VncAuth would look at the first 8 bytes only.
func (t Terms) check() error {
	if err := t.checkTypes(); err != nil {
		return err
	}
	switch {
	case t.wantsPassword() && (len(t.Password) == 0 || len(t.Password) > passwordLength):
		return misconfigured("a password of VncAuth has 1 to %d bytes, this one %d", passwordLength, len(t.Password))
	case (t.Type == X509Plain || t.Also == X509Plain) && t.Check == nil:
		return misconfigured("nobody checks user and password of X509Plain")
	case t.Type.Encrypted() && t.Certificate == nil:
		return misconfigured("%s without a certificate", t.Type)
	}
	return nil
}

func (t Terms) checkTypes() error {
	switch {
	case !t.Type.spoken():
		return misconfigured("a client cannot be offered %s", t.Type)
	case t.Also != 0 && (!t.Also.Encrypted() || !t.Type.Encrypted()):
		return misconfigured("a client cannot be offered %s beside %s", t.Also, t.Type)
	case t.Old != 0 && t.Old != None && t.Old != VncAuth:
		return misconfigured("a client of version 3.3 cannot be offered %s", t.Old)
	}
	return nil
}

func (t Terms) wantsPassword() bool {
	return t.Type == VncAuth || t.Type == X509Vnc || t.Also == X509Vnc || t.Old == VncAuth
}

// client is a handshake in which we are the server.
type client struct {
	peer
	terms  Terms
	report Report
}

func newClient(conn net.Conn, terms Terms) *client {
	return &client{peer: peer{conn: conn, side: Client}, terms: terms}
}

func (c *client) accept(ctx context.Context) error {
	if err := c.greet(); err != nil {
		return err
	}
	return c.admit(ctx)
}

func (c *client) greet() error {
	c.step = "version"
	if err := c.write(V38.message()...); err != nil {
		return err
	}
	major, minor, err := c.hear()
	if err != nil {
		return err
	}
	version, ok := clientVersion(major, minor)
	if !ok {
		return c.fail(Protocol, "it answers RFB 3.8 with RFB %d.%d", major, minor)
	}
	c.report.Version = version
	return nil
}

// admit takes a greeted client through security.
func (c *client) admit(ctx context.Context) error {
	t, err := c.agreeType(ctx)
	if err != nil {
		return err
	}
	c.report.Type = t
	if err := c.judge(ctx, t); err != nil {
		if e, ok := err.(*Error); ok && e.Kind == AuthFailed { //nolint:errorlint // judge wraps nothing
			c.sendAway()
		}
		return err
	}
	if !hasResult(c.report.Version, t) {
		return nil
	}
	c.step = "security result"
	return c.writeU32(resultOK)
}

// agreeType offers the one type and leaves c.conn encrypted if it is one of VeNCrypt's.
func (c *client) agreeType(ctx context.Context) (Type, error) {
	c.step = "security types"
	t := c.terms.Type
	switch {
	case c.report.Version == V33 && t.Encrypted() && c.terms.Old == 0:
		_ = c.write(refusal(V33, "This viewer is too old to connect with encryption")...)
		return invalid, c.fail(NoCommonType, "it speaks RFB 3.3 only, which has no %s", t)
	case c.report.Version == V33 && t.Encrypted():
		return c.terms.Old, c.writeU32(uint32(c.terms.Old))
	case c.report.Version == V33:
		return t, c.writeU32(uint32(t))
	case t.Encrypted():
		return c.enterTLS(ctx)
	}
	return t, c.offer(t)
}

// offer is a list of one, and reading what the client makes of it. Who chooses something
// else is looking for a way around, and hears nothing.
func (c *client) offer(t Type) error {
	if err := c.write(1, byte(t)); err != nil {
		return err
	}
	chosen, err := c.readByte()
	if err == nil && Type(chosen) != t {
		return c.fail(Protocol, "it chooses %s, and %s was offered", Type(chosen), t)
	}
	return err
}

// judge has the client say the password, and looks at it.
func (c *client) judge(ctx context.Context, t Type) error {
	switch t {
	case VncAuth, X509Vnc:
		return c.challenge(c.terms.Password)
	case X509Plain:
		return c.checkPlain(ctx)
	}
	return nil
}

func (c *client) checkPlain(ctx context.Context) error {
	user, password, err := c.readPlain()
	if err != nil {
		return err
	}
	c.report.User = user
	err = c.terms.Check(ctx, user, password)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return c.broken(ctx.Err()) // nobody has said that the password is wrong
	}
	return &Error{Side: Client, Kind: AuthFailed, Text: "wrong user or password", Err: err}
}

// sendAway tells who is wrong, as well as that can be told. A reason came with 3.8.
func (c *client) sendAway() {
	result := []byte{0, 0, 0, resultFailed}
	if c.report.Version >= V38 {
		result = withReason(result, failedReason)
	}
	_ = c.write(result...)
	if encrypted, ok := c.conn.(*tls.Conn); ok {
		_ = encrypted.CloseWrite() // else the client complains of that, and not of its password
	}
}
