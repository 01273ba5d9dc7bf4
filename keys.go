package main

import (
	"errors"
	"slices"
	"time"
)

// acceptedKey is a cluster_key that is understood beside the one in force.
type acceptedKey struct {
	key   string
	until time.Time
}

// keep has a key understood for a while; a.mu is held.
func (a *app) keep(key string) {
	a.accepted = slices.DeleteFunc(a.accepted, func(k acceptedKey) bool { return k.key == key })
	a.accepted = append(a.accepted, acceptedKey{key, time.Now().Add(formerKeyTime)})
}

// keys are those kept; a.mu is held.
func (a *app) keys() []string {
	var keys []string
	for _, k := range a.accepted {
		keys = append(keys, k.key)
	}
	return keys
}

// dropKeys ends the time of kept keys.
func (a *app) dropKeys(now time.Time) {
	a.mu.Lock()
	before := len(a.accepted)
	a.accepted = slices.DeleteFunc(a.accepted, func(k acceptedKey) bool { return now.After(k.until) })
	changed := len(a.accepted) != before && !a.trying
	a.mu.Unlock()
	if !changed || !a.changing.TryLock() {
		return
	}
	defer a.changing.Unlock()
	if err := a.applyKeys(a.plan()); err != nil {
		a.log.WithError(err).Warn("a former cluster_key is still understood")
	}
}

// applyKeys has the parts that speak to other nodes use the keys of p.
func (a *app) applyKeys(p plan) error {
	return errors.Join(a.certs.Apply(p.certificate), a.cluster.apply(p.cluster))
}
