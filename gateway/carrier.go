package gateway

import (
	"net"
	"time"

	"vdi-gateway/gateway/frames"
)

// Leg is a client's WebSocket, behind its handshake.
type Leg struct {
	Conn  net.Conn      // with TLS; or TCP itself
	TCP   *net.TCPConn  // below
	Early []byte        // read of Conn with the handshake
	Ping  time.Duration // between two pings; 0: none
}

// stream is what the client says and is told, without its frames.
func (leg Leg) stream() *frames.Stream { return frames.NewStream(leg.Conn, leg.TCP, leg.Early) }

// lastWords is what telling a client may take that is sent away.
const lastWords = 300 * time.Millisecond

// Serve begins to relay between the client's WebSocket and the VM, owns both, and
// returns at once. Where the gateway enters the VM, RFB is spoken with the client first.
func (a *Attachment) Serve(leg Leg) {
	if err := tuneConn(leg.TCP, a.channel.timeouts); err != nil {
		a.gateway.deps.Log.WithError(err).Debug("the client left before its tunnel was up")
	}
	stream := leg.stream()
	a.gateway.given()
	if a.channel.desktop.entered() {
		go a.admit(stream, leg.Ping)
		return
	}
	a.join(stream, leg.Ping)
}

// admit takes the client through the security of RFB, and joins it then.
func (a *Attachment) admit(stream *frames.Stream, ping time.Duration) {
	client, err := a.welcome(stream)
	if err == nil {
		a.join(client, ping)
		return
	}
	code, reason := a.channel.fate(err).CloseCode()
	stream.Finish(code, reason, lastWords, nil)
	a.gateway.failed(a.channel, err)
	a.gateway.ended()
}

// join gives both legs to the relay. client is a Stream, or something around one that
// has a NetConn; the relay finds it, pings it and tells it of the end.
func (a *Attachment) join(client net.Conn, ping time.Duration) {
	a.gateway.joined(a.channel)
	options := a.gateway.call(a.channel).Options
	options.Ping = ping
	a.channel.belongs(a.gateway.engine.Join(client, a.vm, options))
}
