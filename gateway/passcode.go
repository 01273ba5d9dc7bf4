package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"time"

	"vdi-gateway/gateway/rfb"
)

const (
	// passcodeLength is all that VncAuth looks at, in characters.
	passcodeLength = 8
	// passcodeLetters are 64, easy to tell apart from what shells and URLs mean.
	passcodeLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	// passcodeGuesses is how many wrong answers a password stands.
	passcodeGuesses = 3
)

var (
	errPasscodeSpent = errors.New("the one-time password was used, or guessed at too often; open the connection again for a fresh one")
	errWrongUser     = errors.New("the user is not the connection's id, or the password not its token")
)

// passcode is how a viewer on a range port shows that the tunnel is its own: a password for
// one use. The Gateway's lock guards it.
type passcode struct {
	password Secret // "": none is asked for
	wrong    int    // answers
	spent    bool
}

func newPasscode() passcode {
	var b [passcodeLength]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	for i := range b {
		b[i] = passcodeLetters[int(b[i])%len(passcodeLetters)]
	}
	return passcode{password: Secret(b[:])}
}

// serveViewer serves a client on a range port whose desktop the gateway enters. It says
// nothing before the VM has let the gateway in.
func (g *Gateway) serveViewer(ch *channel, client *net.TCPConn) {
	ctx, done := ch.living(context.Background())
	defer done()
	conn, vm, err := g.bring(ctx, ch, client)
	if err != nil {
		g.failed(ch, err)
		g.ended()
		return
	}
	g.joined(ch)
	ch.belongs(g.engine.Join(conn, vm, g.call(ch).Options))
}

// bring takes both legs through their security.
func (g *Gateway) bring(ctx context.Context, ch *channel, client *net.TCPConn) (conn, vm net.Conn, err error) {
	if client == nil {
		return nil, nil, outOfDescriptors()
	}
	if err := tuneConn(client, ch.timeouts); err != nil {
		g.deps.Log.WithError(err).Debug("the client left before its tunnel was up")
	}
	terms, err := g.terms(ch)
	if err == nil {
		vm, err = g.reach(ctx, ch)
	}
	if err != nil {
		_ = rfb.Refuse(ctx, client, 0, apology(err)) // gone: just as well
		return nil, nil, err
	}
	conn, err = ch.receive(ctx, client, vm, terms)
	g.answered(ch, err)
	if err == nil && !g.usePasscode(ch, Secret(terms.Password)) {
		_, _ = conn.Close(), vm.Close()
		err = errPasscodeSpent
	}
	return conn, vm, err
}

// apology is what a person reads who is refused. A VM's troubles are its operator's; that a
// password was used is for who has it, above all when a viewer reconnects by itself.
func apology(err error) string {
	if errors.Is(err, errPasscodeSpent) {
		return "The one-time password was used; open the connection again"
	}
	return rfb.Unreachable
}

// terms are those for a viewer on a range port: VeNCrypt where this node has a
// certificate, else VncAuth.
func (g *Gateway) terms(ch *channel) (rfb.Terms, error) {
	g.mu.Lock()
	code := ch.grant.passcode
	g.mu.Unlock()
	if code.spent || code.password == "" {
		return rfb.Terms{}, errPasscodeSpent
	}
	terms := rfb.Terms{Type: rfb.VncAuth, Password: rfb.Secret(code.password)}
	if g.deps.Certificate != nil && g.deps.Certificate() != nil {
		terms.Type, terms.Also = rfb.X509Plain, rfb.X509Vnc
		terms.Certificate = g.deps.Certificate
		terms.Check = func(_ context.Context, user string, password rfb.Secret) error {
			return g.checkHolder(ch, user, Secret(password.Reveal()))
		}
	}
	return terms, nil
}

// checkHolder judges who says to be the connection, with its token for a password.
func (g *Gateway) checkHolder(ch *channel, user string, token Secret) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !ch.grant.owns(token) || !strings.EqualFold(user, string(ch.grant.id)) {
		return errWrongUser
	}
	return nil
}

// answered counts a wrong password.
func (g *Gateway) answered(ch *channel, err error) {
	var e *rfb.Error
	if !errors.As(err, &e) || e.Side != rfb.Client || e.Kind != rfb.AuthFailed {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	code := &ch.grant.passcode
	if code.wrong++; code.wrong < passcodeGuesses || code.spent {
		return
	}
	code.spent = true
	g.spreadUse(ch.grant, time.Now()) // this node may die
}

// usePasscode spends the password that a viewer was asked for; false when another one was
// faster, or when the connection was opened again meanwhile: the fresh password is for who
// has it. The other nodes are told: this one may die.
func (g *Gateway) usePasscode(ch *channel, asked Secret) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if code := ch.grant.passcode; code.spent || code.password != asked {
		return false
	}
	ch.grant.passcode.spent = true
	if !ch.grant.ended {
		g.spread(ch.grant, time.Now())
	}
	return true
}
