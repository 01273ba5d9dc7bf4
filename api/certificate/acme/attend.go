package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Status is how a Manager does.
type Status struct {
	Config Config
	Active bool // this node asks the authority
	// Err is why the last attempt of an active node failed, Next when the next one is.
	Err    error
	Next   time.Time
	Port   error // why challenges are not answered here
	Unkept error // why something of another node is not kept here
}

// Status tells how the Manager does.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{Config: m.cfg, Active: m.work.active, Port: m.port, Unkept: m.unkept}
	if s.Active {
		s.Err, s.Next = m.work.err, m.work.next
	}
	return s
}

// attend looks after the certificate when it is this node's turn.
func (m *Manager) attend(ctx context.Context, cfg Config) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		m.turn(ctx, authority{cfg, m.store, m.zap})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// turn is one look: nearly always there is nothing to do.
func (m *Manager) turn(ctx context.Context, a authority) {
	wanted, _ := a.wanted(ctx) // why it is not known, the next attempt says
	if !m.due(wanted, m.deps.Active(), time.Now()) {
		return
	}
	m.exchange(ctx) // another one may have it
	before, _ := a.stored(ctx)
	err := m.whileActive(ctx, a.manage)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errNotActive):
		m.deps.Log.WithField("name", a.cfg.Name).Info("another node goes on asking the authority for the certificate")
	default:
		after, _ := a.stored(ctx)
		m.tell(a.cfg, before, after, err)
	}
}

// errNotActive is why an attempt ends that is another node's now.
var errNotActive = errors.New("this node is no longer the one to ask")

// whileActive ends an attempt when it is another node's turn: two at a time would answer
// each other's challenges, and ask for two certificates.
func (m *Manager) whileActive(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for m.deps.Active() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel(errNotActive)
	})
	err := attempt(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errNotActive) {
		err = cause
	}
	cancel(nil)
	watch.Wait()
	return err
}

// due notes whose turn it is and tells whether there is something to do.
func (m *Manager) due(wanted, active bool, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &m.work
	if active && !w.active && w.err == nil {
		w.next = time.Time{} // it has just become this node's
	}
	w.active = active
	return active && m.open && (!now.Before(w.next) || wanted && w.err == nil)
}

// tell notes how an attempt ended.
func (m *Manager) tell(cfg Config, before, after *x509.Certificate, err error) {
	now := time.Now()
	m.mu.Lock()
	if m.cfg != cfg {
		m.mu.Unlock()
		return // it is of no interest any more
	}
	w := &m.work
	if w.err = err; err != nil {
		w.failed++
		w.next = now.Add(pause(w.failed, err))
	} else {
		w.failed, w.next = 0, now.Add(every(after))
	}
	next, log := w.next, m.deps.Log.WithFields(logrus.Fields{"name": cfg.Name, "authority": cfg.Directory})
	m.mu.Unlock()
	switch {
	case err != nil:
		log.WithError(err).WithField("next", next.UTC().Format(time.RFC3339)).Error("the authority issues no certificate")
	case after != nil && (before == nil || !after.Equal(before)):
		log.WithField("until", after.NotAfter.UTC().Format(time.RFC3339)).Info("the authority has issued a certificate")
	}
}
