package acme

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/netutil"

	"vdi-gateway/api/freebind"
)

const (
	headerTime = 5 * time.Second
	answerTime = 10 * time.Second
	maxHeader  = 4 << 10 // bytes; net/http adds a little
	// maxConns bounds connections; over it, clients wait to be accepted.
	maxConns = 128
	// bindEvery is how often a port that is taken is tried again.
	bindEvery = 2 * time.Second
	// stopTime is what answers get to finish in.
	stopTime = time.Second
)

// door is the listening socket and the server behind it.
type door struct {
	addr   netip.AddrPort
	server *http.Server
	ended  chan struct{} // closed when the server has ended
	err    error         // why, after ended
}

func openDoor(cfg Config, h http.Handler, logger logrus.FieldLogger) (*door, error) {
	lc := net.ListenConfig{Control: freebind.Control(cfg.Listen.Addr(), cfg.Freebind)}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", cfg.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("tls.acme.port: bind %s: %w", cfg.Listen, freebind.Explained(err))
	}
	d := &door{addr: cfg.Listen, ended: make(chan struct{}), server: &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: answerTime,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(httpLog{logger}, "", 0),
	}}
	d.server.SetKeepAlivesEnabled(false) // one answer, and room for the next client
	go func() {
		defer close(d.ended)
		d.err = d.server.Serve(netutil.LimitListener(l, maxConns))
	}()
	return d, nil
}

// close ends the door.
func (d *door) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		_ = d.server.Close() // cuts what is left
	}
	<-d.ended
}

// httpLog takes what net/http has to say, which is about clients that misbehave.
type httpLog struct{ logrus.FieldLogger }

// Write logs one line.
func (l httpLog) Write(line []byte) (int, error) {
	l.Debugf("challenges: %q", line)
	return len(line), nil
}

// listen has a door open until ctx is done.
func (m *Manager) listen(ctx context.Context, cfg Config) {
	for {
		d, err := openDoor(cfg, m, m.deps.Log)
		m.opened(cfg, err)
		if err == nil {
			select {
			case <-ctx.Done():
				d.close()
				return
			case <-d.ended:
				d.close()
				m.opened(cfg, d.err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(bindEvery):
		}
	}
}

// opened notes whether challenges are answered here, or why not.
func (m *Manager) opened(cfg Config, err error) {
	m.mu.Lock()
	was := m.port
	if m.cfg == cfg { // else it is of no interest any more
		m.open, m.port = err == nil, err
	}
	m.mu.Unlock()
	switch {
	case err != nil && was == nil:
		m.deps.Log.WithError(err).Error("challenges of the authority are not answered here; trying again every two seconds")
	case err == nil && was != nil:
		m.deps.Log.WithField("address", cfg.Listen).Info("challenges of the authority are answered here")
	}
}
