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

func newDoor(addr netip.AddrPort, freebind bool, h http.Handler, logger logrus.FieldLogger) (*door, error) {
	lc := net.ListenConfig{Control: freebindControl(addr.Addr(), freebind)}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", addr, err)
	}
	return &door{Listener: netutil.LimitListener(l, maxConns), http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(httpLog{logger}, "", 0),
	}}, nil
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
