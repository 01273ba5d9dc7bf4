package acme

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// lookEvery is how often a node looks whether it is its turn.
	lookEvery = time.Second
	// shareEvery is how often nodes compare what they have.
	shareEvery = 5 * time.Second
	// tidyEvery is how often what is over is deleted.
	tidyEvery = 10 * time.Minute
)

// Manager has the certificate issued and renewed.
type Manager struct {
	deps  Deps
	store *store
	zap   *zap.Logger
	kick  chan struct{} // capacity 1: something was stored

	mu      sync.Mutex
	cfg     Config
	changed chan struct{} // closed when another Config holds
	answers answerer      // of challenges; nil: none
	fresh   map[string]bool
	work    work
	open    bool  // challenges are answered here
	port    error // why not
	unkept  error // why something of another node is not kept here
}

// work is how far the node is with the certificate.
type work struct {
	active bool      // it is this node's
	next   time.Time // when it is looked at again; zero: at once
	failed int       // attempts in a row
	err    error     // of the last one
}

// New returns a Manager that does nothing until Apply and Run.
func New(deps Deps) *Manager {
	m := &Manager{
		deps: deps, zap: newZap(deps.Log), kick: make(chan struct{}, 1),
		changed: make(chan struct{}), fresh: map[string]bool{},
	}
	m.store = newStore(deps.Dir, m.stored)
	return m
}

// Apply makes cfg the state. An equal one changes nothing. It always succeeds: what
// does not work is tried again, and Status says why; see Check.
func (m *Manager) Apply(cfg Config) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cfg == m.cfg {
		return
	}
	m.cfg, m.work, m.answers, m.open, m.port, m.unkept = cfg, work{}, nil, false, nil, nil
	if cfg.Enabled {
		m.answers = authority{cfg, m.store, m.zap}.responder()
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// state is the Config that holds, and a channel that is closed when another one does.
func (m *Manager) state() (Config, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cfg, m.changed
}

// stored notes a change that the others are to hear of.
func (m *Manager) stored(folder string) {
	m.mu.Lock()
	m.fresh[folder] = true
	m.mu.Unlock()
	select {
	case m.kick <- struct{}{}:
	default: // it is noted
	}
}

// Run works until ctx is done. It may be called once.
func (m *Manager) Run(ctx context.Context) error {
	for {
		cfg, changed := m.state()
		if cfg.Enabled {
			m.serve(ctx, cfg, changed)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// serve works for a Config until another one holds.
func (m *Manager) serve(ctx context.Context, cfg Config, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	parts.Go(func() { m.listen(ctx, cfg) })
	parts.Go(func() { m.share(ctx) })
	parts.Go(func() { m.attend(ctx, cfg) })
	select {
	case <-changed:
	case <-ctx.Done():
	}
	cancel()
	parts.Wait()
}

// share exchanges with the other nodes, and tidies.
func (m *Manager) share(ctx context.Context) {
	tick, broom := time.NewTicker(shareEvery), time.NewTicker(tidyEvery)
	defer tick.Stop()
	defer broom.Stop()
	for {
		m.exchange(ctx)
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-tick.C:
		case now := <-broom.C:
			m.store.tidy(now)
		}
	}
}

// exchange gives the others what changed here and takes what they have that is newer.
func (m *Manager) exchange(ctx context.Context) {
	m.mu.Lock()
	enabled, names := m.cfg.Enabled, slices.Sorted(maps.Keys(m.fresh))
	clear(m.fresh) // who does not hear it compares
	m.mu.Unlock()
	if !enabled {
		return
	}
	question := Message{Have: m.store.survey(time.Now()), Offer: m.store.readAll(ctx, names)}
	var unkept error
	for _, folders := range m.deps.Ask(ctx, question) {
		unkept = errors.Join(unkept, m.take(folders))
	}
	m.note(unkept)
}

func (m *Manager) take(folders []Folder) (unkept error) {
	for _, f := range folders {
		taken, err := m.store.take(f, time.Now())
		unkept = errors.Join(unkept, err)
		if taken {
			m.deps.Log.WithField("folder", f.Name).Info("another node's account, certificate or challenge is kept here, too")
		}
	}
	return unkept
}

// note notes what could not be kept: it is offered every few seconds, and logged once.
func (m *Manager) note(unkept error) {
	m.mu.Lock()
	news := unkept != nil && (m.unkept == nil || m.unkept.Error() != unkept.Error())
	m.unkept = unkept
	m.mu.Unlock()
	if news {
		m.deps.Log.WithError(unkept).Error("what another node has of the authority cannot be kept")
	}
}

// Receive takes what another node offers, and answers what that node lacks.
func (m *Manager) Receive(ctx context.Context, q Message) ([]Folder, error) {
	if cfg, _ := m.state(); !cfg.Enabled {
		return nil, nil
	}
	if unkept := m.take(q.Offer); unkept != nil {
		m.note(unkept)
	}
	return m.store.newer(ctx, q.Have, time.Now()), nil
}
