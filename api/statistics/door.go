package statistics

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/netutil"

	"vdi-gateway/api/certificate"
	"vdi-gateway/api/freebind"
)

// maxConns bounds the connections of one address; over it, clients wait to be
// accepted.
const maxConns = 128

// door is one listening socket and the HTTP server behind it, so that it can end
// without the others.
type door struct {
	net.Listener
	http    *http.Server
	retired atomic.Bool
}

func newDoor(addr netip.AddrPort, cfg Config, h http.Handler, deps Deps) (*door, error) {
	lc := net.ListenConfig{Control: freebind.Control(addr.Addr(), cfg.Freebind)}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", addr, err)
	}
	return &door{Listener: securing{netutil.LimitListener(admitting{l, deps.Admit}, maxConns), deps.TLS}, http: &http.Server{
		Handler:           deps.TLS.Secured(h, never),
		ConnContext:       certificate.ConnContext,
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(httpLog{deps.Log}, "", 0),
	}}, nil
}

// securing speaks TLS where the client does.
type securing struct {
	net.Listener
	tls *certificate.Keeper
}

// Accept waits for a client.
func (l securing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.tls.Accept(c), nil
}

func never(*http.Request) bool { return false }

// admitting resets those who may not come in.
type admitting struct {
	net.Listener
	admit func(netip.Addr) bool // nil: all may
}

// Accept waits for one who may.
func (l admitting) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.admit == nil {
			return c, err
		}
		tcp, ok := c.(*net.TCPConn)
		if ok && l.admit(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()) {
			return c, nil
		}
		if ok {
			_ = tcp.SetLinger(0) // only fails when closed
		}
		_ = c.Close()
	}
}

// serve returns http.ErrServerClosed when d was closed on purpose.
func (d *door) serve() error {
	err := d.http.Serve(d.Listener)
	if d.retired.Load() {
		return http.ErrServerClosed
	}
	return err
}

func (d *door) close() {
	d.retired.Store(true)
	_ = d.Listener.Close() // it may have failed by itself
}

func (d *door) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := d.http.Shutdown(ctx); err != nil {
		_ = d.http.Close() // cuts what is left
	}
}

// httpLog takes what net/http has to say, which is about clients that
// misbehave.
type httpLog struct{ logrus.FieldLogger }

// Write logs one line.
func (l httpLog) Write(line []byte) (int, error) {
	l.Debugf("statistics: %q", line)
	return len(line), nil
}
