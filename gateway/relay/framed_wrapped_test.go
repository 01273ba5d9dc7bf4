package relay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"vdi-gateway/gateway/frames"
	"vdi-gateway/gateway/relay"
)

// filter is what somebody puts around a client's leg.
type filter struct {
	net.Conn
	below net.Conn
}

func (f filter) NetConn() net.Conn { return f.below }

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// wrappings are legs around a WebSocket, and what the client has around its own.
var wrappings = []string{"a filter", "TLS in frames", "a filter around TLS in frames", "frames in TLS"}

// wrapped joins a client with something around its WebSocket. meant is what it means.
func wrapped(t *testing.T, kind string, opt relay.Options) (tun *webTunnel, meant net.Conn) {
	t.Helper()
	atGateway, client := connection(t)
	toVM, vm := connection(t)
	tun = &webTunnel{&tunnel{t: t, client: client, vm: vm, ended: make(chan relay.Result, 8)}, newWeb(client, 1)}
	stream := frames.NewStream(atGateway, atGateway, nil)
	server, clientSide := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}, &tls.Config{InsecureSkipVerify: true}
	var leg net.Conn = stream
	meant = tun.web
	switch kind {
	case "a filter":
		leg = filter{stream, stream}
	case "TLS in frames", "a filter around TLS in frames":
		leg = tls.Server(stream, server)
		meant = tls.Client(tun.web, clientSide)
		if kind != "TLS in frames" {
			leg = filter{leg, leg}
		}
	case "frames in TLS":
		leg = frames.NewStream(tls.Server(atGateway, server), atGateway, nil)
		tun.web.Conn = tls.Client(client, clientSide)
	}
	opt.OnEnd = func(r relay.Result) { tun.ended <- r }
	tun.pair = running(t).Join(leg, toVM, opt)
	return tun, meant
}

func TestWhatIsAroundAWebSocket(t *testing.T) {
	for _, kind := range wrappings {
		t.Run(kind+", bytes and a kill", func(t *testing.T) {
			tun, client := wrapped(t, kind, relay.Options{Ping: 5 * time.Millisecond})
			const size = 4 << 20
			failed := make(chan error, 4)
			go func() { failed <- talk(client, 1, size) }()
			go func() { failed <- hears(tun.vm, 1, size) }()
			go func() { failed <- talk(tun.vm, 2, size) }()
			go func() { failed <- hears(client, 2, size) }()
			for range cap(failed) {
				if err := <-failed; err != nil {
					t.Error(err)
				}
			}
			for end := time.Now().Add(patience); tun.web.pings == 0 && time.Now().Before(end); {
				_ = tun.client.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				_, _ = client.Read(make([]byte, 1))
			}
			_ = tun.client.SetReadDeadline(time.Now().Add(patience))
			tun.pair.Kill("admin")
			tun.told(1011, "admin")
			if got, want := tun.result(), (relay.Result{Up: size, Down: size, Reason: "admin"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if tun.web.pings == 0 {
				t.Error("no ping came")
			}
		})
		t.Run(kind+", the VM's end", func(t *testing.T) {
			tun, client := wrapped(t, kind, relay.Options{})
			pass(t, client, tun.vm, "hello")
			_, _ = io.WriteString(tun.vm, "goodbye")
			_ = tun.vm.CloseWrite()
			got, err := io.ReadAll(struct{ io.Reader }{client})
			if string(got) != "goodbye" || err != nil {
				t.Errorf("got %q %v, want the last words and the end", got, err)
			}
			tun.told(1000, "vm_closed")
			if got, want := tun.result(), (relay.Result{Up: 5, Down: 7, Reason: relay.VMClosed}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
		t.Run(kind+", the client's end", func(t *testing.T) {
			tun, client := wrapped(t, kind, relay.Options{})
			pass(t, client, tun.vm, "hello")
			_ = tun.web.CloseWrite()
			if n, err := io.Copy(io.Discard, tun.vm); n != 0 || err != nil {
				t.Errorf("got %d bytes (%v), want the end", n, err)
			}
			if got := tun.result(); got.Reason != relay.ClientClosed {
				t.Errorf("got %+v, want client_closed", got)
			}
			tun.told(1000, "")
		})
		t.Run(kind+", a client that is dead", func(t *testing.T) {
			tun, client := wrapped(t, kind, relay.Options{Ping: 50 * time.Millisecond, Pong: 100 * time.Millisecond})
			pass(t, client, tun.vm, "hello")
			if got := tun.result(); got.Reason != relay.KeepaliveTimeout {
				t.Errorf("got %+v, want keepalive_timeout", got)
			}
		})
	}
}
