package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
)

// original is HAProxy and Keepalived on both hosts, as the original configures them,
// and on each host a stand-in for its gateway that shows every desktop at every port
// of the range. That is kinder than any gateway: whoever HAProxy leads to a living
// host is back, whatever port the viewer had. Nodes of the product would make the
// peer slower and refuse what comes from the other HAProxy's address.
func original() rival {
	return rival{name: "haproxy_keepalived", clients: desktopClients, start: func(p *pair, place int, _ time.Duration, dir string) (*peer.Router, error) {
		host := p.hosts[place]
		stand, err := newStandIn(host)
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, stand)
		relay, err := peer.OriginalHAProxy(host, p.virtual, p.addrs(), dir)
		if err != nil {
			return nil, err
		}
		router, err := peer.OriginalKeepalived(host, p.virtual, dir)
		if err != nil {
			return nil, err
		}
		return router.With(relay), nil
	}}
}

// standIn is the least that looks like a gateway to clients.
type standIn struct {
	listeners []io.Closer
	opened    atomic.Uint32
}

func newStandIn(host *lab.Host) (*standIn, error) {
	s := &standIn{}
	for port := uint16(peer.OriginalFirst); port <= peer.OriginalLast; port++ {
		l, err := host.Listen(netip.AddrPortFrom(host.Addr(), port).String())
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.listeners = append(s.listeners, l)
		go echoAll(l)
	}
	l, err := host.Listen(netip.AddrPortFrom(host.Addr(), peer.OriginalAPI).String())
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.listeners = append(s.listeners, l)
	api := &http.Server{Handler: s, ReadHeaderTimeout: wireTime}
	go func() { _ = api.Serve(l) }() // until the listener is closed
	return s, nil
}

// ServeHTTP answers open_connection.
func (s *standIn) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	const ports = peer.OriginalLast - peer.OriginalFirst + 1
	answer := tunnel{ID: "connection", Token: "token", Port: uint16(peer.OriginalFirst + s.opened.Add(1)%ports)}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(answer) // a client that has gone
}

// Close ends it.
func (s *standIn) Close() (err error) {
	for _, l := range s.listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}
