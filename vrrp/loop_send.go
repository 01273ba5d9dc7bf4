package vrrp

import (
	"errors"
	"time"
)

func (l *loop) announce(now time.Time) {
	l.status.Counters.Announced++
	if err := l.wire.announce(l.cfg.places(l.link)); err != nil {
		l.warn("announce", "the virtual address cannot be announced, neighbours learn of it later: "+err.Error())
	}
	if l.status.Took >= 0 {
		return
	}
	took := now.Sub(l.m.since)
	l.status.Took = took
	l.log(func() {
		l.v.deps.Log.WithField("took", took.String()).Info("the virtual address is here and was announced")
	})
}

// send sends an advertisement. A router that nobody can hear does not compete.
func (l *loop) send(priority uint8, now time.Time) {
	if l.wire == nil {
		return
	}
	err := l.sendAll(l.datagrams(priority))
	l.status.Counters.Sent++
	if err == nil {
		l.failed = 0
		return
	}
	l.status.Counters.SendErrors++
	if l.failed++; l.failed >= sendTries {
		l.block("advertisements cannot be sent on "+l.link.name+": "+err.Error(), now)
		l.closeWire()
	}
}

// sendAll fails when nobody could be sent to.
func (l *loop) sendAll(list []datagram) error {
	var errs []error
	for _, d := range list {
		if err := l.wire.send(d); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < len(list) {
		return nil
	}
	return errors.Join(errs...)
}

func (l *loop) datagrams(priority uint8) (list []datagram) {
	a := l.cfg.advertisement(priority)
	for _, to := range l.cfg.targets() {
		list = append(list, datagram{From: l.link.source, To: to, Data: a.Marshal(l.cfg.Checksum, l.link.source, to)})
	}
	return list
}
