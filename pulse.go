package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// pulsesPerTime is how often all parts may answer within the time after which the
// watchdog ends the process: a machine under load may miss some of them.
const pulsesPerTime = 6

// feel has the notifier feed the watchdog whenever all parts have answered, until ctx is
// done. Without a watchdog nobody is asked.
func (a *app) feel(ctx context.Context) error {
	patience, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.WithError(err).Warn("the watchdog of the service manager cannot be fed")
	}
	if err != nil || patience == 0 {
		return nil
	}
	tick := time.NewTicker(patience / pulsesPerTime)
	defer tick.Stop()
	var silent error
	for {
		was := silent
		if silent = allAnswer(ctx, patience/pulsesPerTime, a.living()); silent == nil {
			a.notifier.pulses.Add(1)
		}
		switch {
		case ctx.Err() != nil:
		case silent != nil && was == nil:
			a.log.WithError(silent).Errorf("a part of this node does not answer; unless it does, the watchdog ends the process within %s", patience)
		case silent == nil && was != nil:
			a.log.Info("all parts of this node answer again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// allAnswer asks all parts at once and tells who does not answer in time. One that answers
// with an error works: what is wrong is in health, and another start would not cure it.
func allAnswer(ctx context.Context, limit time.Duration, parts map[string]func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type reply struct {
		part string
		err  error
	}
	replies := make(chan reply, len(parts)) // those that hang never come
	silent := maps.Clone(parts)
	for part, ask := range parts {
		go func() { replies <- reply{part, ask(ctx)} }()
	}
	for len(silent) > 0 {
		select {
		case r := <-replies:
			if late(r.err) {
				return fmt.Errorf("%s: %w", r.part, r.err)
			}
			delete(silent, r.part)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", strings.Join(slices.Sorted(maps.Keys(silent)), ", "), ctx.Err())
		}
	}
	return nil
}

// living are the parts that have to answer now.
func (a *app) living() map[string]func(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	parts := map[string]func(context.Context) error{
		"the database": func(ctx context.Context) error {
			_, err := a.store.State(ctx, drainKey)
			return err
		},
	}
	if a.electing {
		parts["the election"] = a.vrrp.Ping
	}
	if a.electing && a.fault == nil && a.current.Settings.IsEnabled {
		parts["a tunnel"] = a.gateway.Check
	}
	return parts
}

// late tells whether an error is that a part let time run out. Connecting is the kernel's:
// where that takes too long a packet filter is in the way, which no other start removes.
func late(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}
