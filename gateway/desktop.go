package gateway

import (
	"context"
	"errors"
	"net"

	"vdi-gateway/gateway/frames"
	"vdi-gateway/gateway/relay"
	"vdi-gateway/gateway/rfb"
)

// Desktop says how the VNC server of a VM is entered, and what its viewer may do. With
// the zero value a tunnel carries bytes and knows nothing of RFB.
type Desktop struct {
	User     string `json:"user,omitempty"`
	Password Secret `json:"password,omitempty"`
	Trust    *Trust `json:"trust,omitempty"` // nil: a VM without a certificate will do
	ViewOnly bool   `json:"view_only,omitempty"`
	Shared   bool   `json:"shared,omitempty"` // others may have the desktop, too
}

// Trust says which certificate a VM has to show.
type Trust = rfb.Trust

// WrongTrust says what is wrong with t; "": nothing.
func WrongTrust(t Trust) string {
	if err, ok := t.Check().(*rfb.Error); ok { //nolint:errorlint // it is never wrapped
		return err.Text
	}
	return ""
}

// entered tells whether the gateway goes through the security of RFB itself, with the VM
// and with the viewer: then the viewer needs to know nothing of the VM's.
func (d Desktop) entered() bool {
	return d.User != "" || d.Password != "" || d.Trust != nil || d.ViewOnly
}

// flag says what becomes of the viewer's wish to be alone at the desktop.
func (d Desktop) flag() rfb.Shared {
	if d.Shared || d.ViewOnly {
		return rfb.AlwaysShared
	}
	return rfb.AsAsked
}

// reach dials the VM of a channel and goes through its security where that is the
// gateway's to do. Errors are a *Refusal or an *rfb.Error.
func (g *Gateway) reach(ctx context.Context, ch *channel) (net.Conn, error) {
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := g.dialVM(ctx, ch.grant.target, ch.timeouts)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
	d := ch.desktop
	if !d.entered() {
		return dial(ctx)
	}
	conn, _, err := rfb.Dial(ctx, dial, rfb.Config{
		User: d.User, Password: rfb.Secret(d.Password), Trust: d.Trust, Host: ch.grant.target.host,
	})
	return conn, err
}

// receive brings a viewer to where the RFB session begins: behind security, and with the
// wish to share as it may be. Its connection is closed on errors, and vm as well.
func (ch *channel) receive(ctx context.Context, client, vm net.Conn, terms rfb.Terms) (net.Conn, error) {
	conn, _, err := rfb.Accept(ctx, client, terms)
	if err != nil {
		_ = vm.Close()
		return nil, err
	}
	flag := ch.desktop.flag()
	switch {
	case ch.desktop.ViewOnly:
		return rfb.Watch(conn, flag), nil
	case flag == rfb.AsAsked:
		return conn, nil
	}
	return conn, rfb.PassInit(ctx, conn, vm, flag, 0)
}

// welcome brings the client of an attachment to where the relay begins. Its token was its
// credential, so that RFB asks it for none.
func (a *Attachment) welcome(client *frames.Stream) (net.Conn, error) {
	ctx, done := a.channel.living(context.Background())
	defer done()
	conn, err := a.channel.receive(ctx, staying{client}, a.vm, rfb.Terms{Type: rfb.None})
	if _, bare := conn.(staying); bare {
		return client, err // the relay knows what to do with one
	}
	return conn, err
}

// staying is a WebSocket that a failed handshake does not close without a word.
type staying struct{ *frames.Stream }

// NetConn is the WebSocket, which the relay looks for below what is around it.
func (s staying) NetConn() net.Conn { return s.Stream }

// Close leaves the connection to who tells its client.
func (s staying) Close() error {
	s.Interrupt(lastWords)
	return nil
}

// blame tells whose failure it is that a channel was not joined.
func blame(err error) relay.Reason {
	var e *rfb.Error
	if errors.As(err, &e) && e.Side == rfb.Client || errors.Is(err, errPasscodeSpent) {
		return ReasonNotAdmitted
	}
	return ReasonVMUnreachable
}

// outside is what a client is told of an error of reach: what a VM or its operator did
// wrong is for the journal.
func outside(err error) error {
	var e *rfb.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Kind == rfb.Timeout:
		return refuse(ErrVMTimeout, "the desktop did not answer the handshake in time")
	default:
		return refuse(ErrVMUnreachable, "the desktop cannot be entered; the journal of the gateway says why")
	}
}
