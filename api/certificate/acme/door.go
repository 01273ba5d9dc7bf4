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
		return nil, fmt.Errorf("bind %s: %w", cfg.Listen, err)
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

// close ends the door, which may be nil.
func (d *door) close() {
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		_ = d.server.Close() // cuts what is left
	}
	<-d.ended
}

// done is closed when the door has ended; that of none never is.
func (d *door) done() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.ended
}

// httpLog takes what net/http has to say, which is about clients that misbehave.
type httpLog struct{ logrus.FieldLogger }

// Write logs one line.
func (l httpLog) Write(line []byte) (int, error) {
	l.Debugf("challenges: %q", line)
	return len(line), nil
}

// listen has a door where the Config says until ctx is done.
func (m *Manager) listen(ctx context.Context) {
	var open *door
	defer func() { open.close() }()
	for {
		cfg, changed := m.state()
		var err error
		open, err = m.move(open, cfg)
		m.opened(cfg, open != nil, err)
		var again <-chan time.Time
		if err != nil {
			again = time.After(bindEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again:
		case <-open.done():
			m.opened(cfg, false, open.err)
			open = nil
			select {
			case <-ctx.Done():
				return
			case <-time.After(bindEvery):
			}
		}
	}
}

// move opens the door that cfg wants before it closes the former one.
func (m *Manager) move(was *door, cfg Config) (*door, error) {
	if was != nil && cfg.Enabled && was.addr == cfg.Listen {
		return was, nil
	}
	defer was.close()
	if !cfg.Enabled {
		return nil, nil //nolint:nilnil // no door is what is wanted
	}
	return openDoor(cfg, m, m.deps.Log)
}

// opened notes whether challenges are answered here.
func (m *Manager) opened(cfg Config, open bool, err error) {
	m.mu.Lock()
	worse := err != nil && m.port == nil
	better := open && m.port != nil
	if m.cfg == cfg { // else it is of no interest any more
		m.open, m.port = open, err
	}
	m.mu.Unlock()
	switch {
	case worse:
		m.deps.Log.WithError(err).Error("challenges of the authority are not answered here; trying again every two seconds")
	case better:
		m.deps.Log.WithField("address", cfg.Listen).Info("challenges of the authority are answered here")
	}
}
