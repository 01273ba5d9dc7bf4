package gateway

import (
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"vdi-gateway/gateway/relay"
)

// EventKind says what happened to a session.
type EventKind string

// What is told to the journal and the audit table.
const (
	EventOpen   EventKind = "open"   // the first channel reached the VM
	EventClose  EventKind = "close"  // the last channel ended
	EventFailed EventKind = "failed" // a client was there, the VM was not; or it was not let in
)

// Event is one line of the audit: who, from where, to which VM, and for a
// close how long, how much and why it ended.
type Event struct {
	Kind     EventKind
	At       time.Time
	ID       ConnectionID
	Node     netip.Addr
	User     string
	Verified bool // User comes from the dispatcher, not from the client
	VMID     string
	VMAddr   string
	VMPort   uint16
	Protocol Protocol
	Client   netip.Addr
	Port     uint16
	Mode     Mode
	// The rest is for a close or a failure.
	BytesUp, BytesDown int64
	Duration           time.Duration
	Reason             relay.Reason
	Detail             string // in words; "" where the reason says all
}

// event describes gr; the caller holds the lock.
func (g *Gateway) event(gr *grant, kind EventKind, now time.Time) Event {
	return Event{
		Kind: kind, At: now, ID: gr.id, Node: gr.node, User: gr.user, Verified: gr.verified,
		VMID: gr.vmID, VMAddr: gr.target.host, VMPort: gr.target.port, Protocol: gr.protocol,
		Client: gr.client, Port: gr.port, Mode: gr.mode,
	}
}

// tell has an event written to the journal and handed to the audit. It does
// not block: the relay's loops call it, and a log may take its time.
func (g *Gateway) tell(e Event) { g.events.add(e) }

// chronicle is a queue of events and the one who writes them down, in order.
type chronicle struct {
	log   logrus.FieldLogger
	audit func(Event)
	wake  chan struct{} // capacity 1

	mu    sync.Mutex
	queue []Event
	lost  int
}

// chronicleMax bounds the events that wait while the journal is stuck.
const chronicleMax = 1 << 16

func newChronicle(log logrus.FieldLogger, audit func(Event)) *chronicle {
	return &chronicle{log: log, audit: audit, wake: make(chan struct{}, 1)}
}

func (c *chronicle) add(e Event) {
	c.mu.Lock()
	if len(c.queue) < chronicleMax {
		c.queue = append(c.queue, e)
	} else {
		c.lost++
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run writes events until stop is closed and the last one is written.
func (c *chronicle) run(stop <-chan struct{}) {
	for {
		select {
		case <-c.wake:
			c.write()
		case <-stop:
			c.write()
			return
		}
	}
}

func (c *chronicle) write() {
	c.mu.Lock()
	events, lost := c.queue, c.lost
	c.queue, c.lost = nil, 0
	c.mu.Unlock()
	for _, e := range events {
		c.writeOne(e)
	}
	if lost > 0 {
		c.log.WithField("lost", lost).Error("session lines were lost: the journal did not keep up")
	}
}

func (c *chronicle) writeOne(e Event) {
	log := c.log.WithFields(e.fields())
	switch e.Kind {
	case EventOpen:
		log.Info("session opened")
	case EventClose:
		log.Info("session closed")
	default:
		log.Warn("session failed: " + e.failure())
	}
	c.audit(e)
}

// failure tells whose it was.
func (e Event) failure() string {
	if e.Reason == ReasonNotAdmitted {
		return "the viewer was not admitted"
	}
	return "the VM cannot be reached"
}

func (e Event) fields() logrus.Fields {
	f := logrus.Fields{
		"connection_id": string(e.ID), "user": e.User, "user_verified": e.Verified,
		"client": e.Client.String(), "vm": e.VMAddr, "vm_port": e.VMPort,
		"protocol": string(e.Protocol), "port": e.Port,
	}
	if e.VMID != "" {
		f["vm_id"] = e.VMID
	}
	if e.Kind == EventOpen {
		return f
	}
	f["bytes_up"], f["bytes_down"] = e.BytesUp, e.BytesDown
	f["duration_s"] = e.Duration.Round(time.Millisecond).Seconds()
	f["reason"] = string(e.Reason)
	if e.Detail != "" {
		f["detail"] = e.Detail
	}
	return f
}
