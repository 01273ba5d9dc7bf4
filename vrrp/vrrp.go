package vrrp

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// staleAfter is how long the word of SetReady holds: a node whose parts hang does not
// say any more that they serve.
const staleAfter = 5 * time.Second

// starting is why a node does not compete that was not heard of yet.
const starting = "this node is starting"

var (
	// ErrNotActive is that this node has no address to hand over.
	ErrNotActive = errors.New("this node is not active")
	// ErrNobodyFollows is that no other node took the address: this one has kept it.
	ErrNobodyFollows = errors.New("no other node took over, so this one has kept the address")
)

// VRRP is one node's part in the election. Its methods may be called from many
// goroutines.
type VRRP struct {
	deps    Deps
	sys     system
	changed chan struct{} // capacity 1: cfg or ready
	yields  chan yield
	pings   chan struct{}

	mu     sync.Mutex
	cfg    Config
	ready  bool
	unfit  string    // why it is not ready
	said   time.Time // when that was said
	status Status
}

// yield asks the loop to hand over.
type yield struct {
	why  string
	done chan error // capacity 1
}

// New returns a VRRP without a virtual router, which starts nothing.
func New(deps Deps) *VRRP { return newVRRP(deps, linux(deps.Guard)) }

func newVRRP(deps Deps, sys system) *VRRP {
	return &VRRP{
		deps: deps, sys: sys, changed: make(chan struct{}, 1), yields: make(chan yield), pings: make(chan struct{}),
		status: Status{Role: RoleNone}, unfit: starting,
	}
}

// Check says why cfg cannot be had on this host, without changing anything.
func (v *VRRP) Check(cfg Config) error {
	if err := cfg.check(); err != nil || !cfg.enabled() {
		return err
	}
	l := v.sys.look(cfg, link{})
	if l.failed != "" {
		return fmt.Errorf("vrrp: %s", l.failed)
	}
	if cfg.Interface != "" && l.index == 0 {
		return fmt.Errorf("vrrp: %s", l.why)
	}
	for i, p := range cfg.Inside {
		if p.Interface != "" && l.inside[i].index == 0 {
			return fmt.Errorf("vrrp: %s", missing(p.Interface))
		}
	}
	return nil
}

// Apply makes cfg the state; Run acts on it at once. A router that goes on under the
// same id and addresses keeps its role, any other one resigns. An error means that
// nothing changed.
func (v *VRRP) Apply(cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !reflect.DeepEqual(v.cfg, cfg) {
		v.cfg = cfg
		v.wake()
	}
	return nil
}

// SetReady says whether this node can serve, and why not. It competes only while this
// was said within the last seconds.
func (v *VRRP) SetReady(ready bool, why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ready != ready || v.unfit != why {
		v.wake()
	}
	v.ready, v.unfit, v.said = ready, why, time.Now()
}

func (v *VRRP) wake() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// Yield hands the addresses over to whoever follows, and returns when somebody has.
// ErrNobodyFollows means that this node has kept them.
func (v *VRRP) Yield(ctx context.Context, why string) error {
	y := yield{why: why, done: make(chan error, 1)}
	select {
	case v.yields <- y:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-y.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ping returns when the election, while Run runs it, has taken note of it: it does not hang.
func (v *VRRP) Ping(ctx context.Context) error {
	select {
	case v.pings <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Status is how it does now.
func (v *VRRP) Status() Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.status.clone()
}

// Run takes part in the election until ctx is done, resigns, and returns when the
// addresses have been given up, after three seconds at most.
func (v *VRRP) Run(ctx context.Context) error {
	clock, err := v.sys.alarm()
	if err != nil {
		return err
	}
	return newLoop(v, clock).run(ctx)
}
