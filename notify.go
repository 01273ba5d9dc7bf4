package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"

	"vdi-gateway/vrrp"
)

const (
	// tellEvery is how often it is looked whether there is something to tell.
	tellEvery = 250 * time.Millisecond
	// statusEvery bounds how often the line for people changes.
	statusEvery = 2 * time.Second
	// A node that cannot serve yet, since an address or a port is not there, is no reason
	// to end it: it tries again, and its API tells why. Every extendEvery it asks for
	// extendBy more.
	extendEvery = 10 * time.Second
	extendBy    = time.Minute
)

// situation is what a service manager is told of.
type situation struct {
	ready    bool // the node is all that its settings say
	stopping bool
	text     string // for people, one line
	pulses   uint64 // how often all parts have answered
}

// told is what it was told.
type told struct {
	ready, stopping bool
	text            string
	textAt          time.Time
	pulses          uint64
	extended        time.Time
}

// next are the lines that s asks for; none: nothing that has to be told now.
func (t told) next(s situation, now time.Time) (told, []string) {
	var lines []string
	turn := s.ready && !t.ready || s.stopping && !t.stopping
	if s.ready && !t.ready {
		t.ready, lines = true, append(lines, daemon.SdNotifyReady)
	}
	if s.stopping && !t.stopping {
		t.stopping, lines = true, append(lines, daemon.SdNotifyStopping)
	}
	if !t.ready && !t.stopping && now.Sub(t.extended) >= extendEvery {
		t.extended, lines = now, append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extendBy.Microseconds()))
	}
	if s.text != t.text && (turn || now.Sub(t.textAt) >= statusEvery) {
		t.text, t.textAt, lines = s.text, now, append(lines, "STATUS="+s.text)
	}
	if s.pulses != t.pulses {
		t.pulses, lines = s.pulses, append(lines, daemon.SdNotifyWatchdog)
	}
	return t, lines
}

// notifier tells the service manager that started this process how the node does.
type notifier struct {
	send   func(lines string) error // nil: nobody wants to hear
	pulses atomic.Uint64
	log    logrus.FieldLogger

	// Only run uses these.
	told   told
	failed bool
}

// newNotifier speaks to systemd where that asked for it, else to nobody.
func newNotifier(log logrus.FieldLogger) *notifier {
	n := &notifier{log: log}
	if os.Getenv("NOTIFY_SOCKET") != "" {
		n.send = func(lines string) error {
			_, err := daemon.SdNotify(false, lines)
			return err
		}
	}
	return n
}

// run tells what look sees until ctx is done; when stop is done, that the node stops.
// Where nobody asked for it, it does not look.
func (n *notifier) run(ctx, stop context.Context, look func() situation) error {
	if n.send == nil {
		return nil
	}
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for stopped := stop.Done(); ; {
		s := look()
		s.pulses = n.pulses.Load()
		if stop.Err() != nil {
			s.stopping, s.text, stopped = true, "stopping: the virtual address goes first, then sessions end", nil
		}
		n.tell(s)
		select {
		case <-ctx.Done():
			return nil
		case <-stopped:
		case <-tick.C:
		}
	}
}

// tell says what is new; what could not be said is said again.
func (n *notifier) tell(s situation) {
	next, lines := n.told.next(s, time.Now())
	if len(lines) == 0 {
		return
	}
	err := n.send(strings.Join(lines, "\n"))
	if err != nil && !n.failed {
		n.log.WithError(err).Warn("the service manager cannot be told how this node does")
	}
	if n.failed = err != nil; !n.failed {
		n.told = next
	}
}

// outlook is what the line for people is made of.
type outlook struct {
	serving, enabled, draining bool
	why                        string // it does not serve
	role                       vrrp.Role
	since                      time.Time // of the role
	sessions, alive, nodes     int
}

// text is the line for people.
func (o outlook) text(now time.Time) string {
	if !o.enabled {
		return "disabled: is_enabled is false in the settings"
	}
	if !o.serving {
		return "not serving: " + oneLine(cmp.Or(o.why, "this node is starting"))
	}
	var parts []string
	if o.role != vrrp.RoleNone {
		parts = append(parts, string(o.role)+" since "+clock(o.since, now))
	}
	parts = append(parts, counted(o.sessions, "session"))
	if o.nodes > 1 {
		parts = append(parts, fmt.Sprintf("%d of %d nodes", o.alive, o.nodes))
	}
	if o.draining {
		parts = append(parts, "draining")
	}
	return strings.Join(parts, ", ")
}

// clock is a time of day, with the day if that is another one.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// oneLine keeps what several errors say from looking like several assignments.
func oneLine(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
}

// situation is how this node does.
func (a *app) situation() situation {
	a.mu.Lock()
	o := outlook{serving: a.competes, enabled: a.current.Settings.IsEnabled, why: a.unfit}
	begun := a.serving && a.joined
	a.mu.Unlock()
	v, g := a.vrrp.Status(), a.gateway.Health()
	o.role, o.since, o.sessions, o.draining = v.Role, v.Since, g.Used, g.Draining
	for _, m := range a.cluster.directory.Members() {
		o.nodes++
		if m.Alive || m.Self {
			o.alive++
		}
	}
	return situation{ready: begun && (o.serving || !o.enabled), text: o.text(time.Now())}
}
