package gateway

import (
	"net/netip"
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
	EventFailed EventKind = "failed" // a client was there, the VM was not
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

// tell writes an event to the journal and hands it to the audit.
func (g *Gateway) tell(e Event) {
	log := g.deps.Log.WithFields(e.fields())
	switch e.Kind {
	case EventOpen:
		log.Info("session opened")
	case EventClose:
		log.Info("session closed")
	default:
		log.Warn("session failed: the VM cannot be reached")
	}
	g.deps.Audit(e)
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
