package gateway

import (
	"net/netip"
	"time"
)

// Config is the complete wanted state of a gateway, as plan.go derives it
// from the settings. The zero value is a disabled gateway that refuses all.
type Config struct {
	// Enabled false refuses new tunnels and ends what runs.
	Enabled bool
	// Node is this node's internal address. It is told to clients as the
	// owner of their tunnel and is the source of the self-check.
	Node netip.Addr
	// Listen are the addresses the range ports are bound on, all of them
	// specific. Addresses this host does not hold (yet) are bound all the
	// same when Freebind is set.
	Listen   []netip.Addr
	Freebind bool
	// Nodes are all nodes of the cluster, this one included; none: it is alone.
	// They begin with different ports of the range, by their place here.
	Nodes []netip.Addr
	// Trusted are the peers that speak for others, on range ports and in front
	// of the service tunnel: each of their connections must begin with a PROXY
	// header of version 2 that names the client.
	Trusted []netip.Prefix
	// PublicAddr is what clients are told to connect to: an IP address or a
	// host name.
	PublicAddr string
	// PortStart and PortStop bound the range, both inclusive.
	PortStart, PortStop uint16
	Limits              Limits
	Timeouts            Timeouts
	Targets             Targets
	Service             Service
}

// Limits bound what clients can make a node hold. Zero means no limit.
type Limits struct {
	Connections   int // grants alive on this node
	PerClient     int // grants alive per client address
	OpenPerSecond int // open calls per second and client address, burst twice that
}

// Timeouts of tunnels. Zero means never.
type Timeouts struct {
	Grant       time.Duration // life of an unused grant
	Dial        time.Duration // connecting to a VM
	Idle        time.Duration // no byte on any channel of a session
	HalfClose   time.Duration // silence after one side has finished sending
	Keepalive   time.Duration // silence before TCP asks whether the peer lives
	UserTimeout time.Duration // unacknowledged data before TCP gives a peer up
	SessionMax  time.Duration // a session, however busy
}

// Targets says which addresses a tunnel may reach. What Refused names is
// refused unless Allow lists that very address as /32 or /128.
type Targets struct {
	Allow         []Target
	Ports         []PortRange // for entries of Allow without ports of their own
	RequireTicket bool
	Refused       []string // own, virtual, public and dispatcher addresses or host names
}

// Target is one network of the allow-list.
type Target struct {
	Prefix netip.Prefix
	Ports  []PortRange // nil: Targets.Ports
}

// PortRange is inclusive at both ends.
type PortRange struct{ First, Last uint16 }

// Service is the byte-transparent tunnel from clients to the dispatchers.
// It is off while Dispatchers is empty.
type Service struct {
	Listen      netip.AddrPort
	Dispatchers []string // host:port, tried in turn
}
