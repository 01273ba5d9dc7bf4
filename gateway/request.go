package gateway

import (
	"net/netip"
	"time"
)

// ConnectionID names a grant and the session that uses it: a UUID.
type ConnectionID string

// Secret is a token or ticket in the clear: 43 characters of base64url over
// 32 random bytes. It prints as "redacted".
type Secret string

// String hides the secret from logs.
func (Secret) String() string { return "redacted" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "redacted" }

// Reveal returns the secret itself, for the one answer that carries it.
func (s Secret) Reveal() string { return string(s) }

// Mode is how a client reaches its tunnel.
type Mode string

// The two modes of a grant.
const (
	ModePort      Mode = "port"      // a TCP port open to the client's address
	ModeWebSocket Mode = "websocket" // the token alone, over the API's port
)

// Protocol is what the VM speaks. It sets the default channel limit only.
type Protocol string

// Channels is how many parallel connections a viewer of the protocol needs.
func (p Protocol) Channels() int {
	switch p {
	case "vnc":
		return 1
	case "rdp":
		return 2
	case "spice":
		return 32
	default:
		return 4
	}
}

// OpenRequest asks for a tunnel to one VM. Zero values take the defaults of
// the protocol and the configuration.
type OpenRequest struct {
	Client   netip.Addr // whom the tunnel is for; never taken from the body
	VMAddr   string     // IP address or host name
	VMPort   uint16
	Protocol Protocol // "" is "tcp"
	User     string
	VMID     string
	TTL      time.Duration // 0: Timeouts.Grant
	Channels int           // 0: Protocol.Channels
	Mode     Mode          // "" is ModePort
	Probe    bool          // dial the VM before answering
	Ticket   Secret        // overrides all that names the VM, the user and limits
	Desktop  Desktop       // how its VNC server is entered; zero: the tunnel only carries bytes
	Console  bool          // it is for a page, which may come back after a loss

	here bool // it is used on this node at once: no grant of another one will do
}

// Grant is the answer to an OpenRequest.
type Grant struct {
	ID        ConnectionID
	Token     Secret
	Password  Secret // for one use, by a viewer on Port; "": none is asked for
	Resume    Secret // of a request with Console
	Addr      string // where the client connects: address or host name
	Port      uint16 // 0 in ModeWebSocket
	Node      netip.Addr
	Client    netip.Addr
	Protocol  Protocol
	TTL       time.Duration
	ExpiresAt time.Time // zero: never
	Reopened  bool      // the caller's own grant, asked for again
}

// Lease is the answer to a renewal.
type Lease struct {
	ID        ConnectionID
	State     State
	Addr      string
	Port      uint16
	ExpiresAt time.Time
	Heartbeat time.Duration // how often a client should renew
}

// State of a grant: granted until a channel is open, active while one is.
type State string

// The states of a grant.
const (
	StateGranted State = "granted"
	StateActive  State = "active"
)

// Connection describes a grant and its use at one moment.
type Connection struct {
	ID           ConnectionID
	Node         netip.Addr
	State        State
	User, VMID   string
	VMAddr       string
	VMPort       uint16
	Protocol     Protocol
	Client       netip.Addr
	Port         uint16
	Mode         Mode
	Channels     int   // open now
	BytesUp      int64 // client to VM
	BytesDown    int64
	RTT          time.Duration // of the newest channel's client leg; 0: unknown
	OpenedAt     time.Time
	ConnectedAt  time.Time // first channel of the session; zero: never
	LastActivity time.Time // zero: never
}

// Filter selects connections; empty fields match all.
type Filter struct {
	State  State
	User   string
	VMAddr string
	Client netip.Addr
	// After skips up to and including this place in the order of
	// (OpenedAt, ID), for paging.
	After Place
	// Limit bounds the answer; 0 means all.
	Limit int
}

// Place is a position in a listing.
type Place struct {
	OpenedAt time.Time
	ID       ConnectionID
}

// Selector says which connections to end: exactly one field is set.
type Selector struct {
	IDs    []ConnectionID
	User   *string
	VMAddr *string
	Client netip.Addr
	All    bool
}

// TicketRequest is a dispatcher's permission for one VM, before it has a
// secret. Zero values take defaults when the ticket is used.
type TicketRequest struct {
	VMAddr     string
	VMPort     uint16
	Protocol   Protocol
	User       string
	VMID       string
	Client     netip.Addr // invalid: any client
	TTL        time.Duration
	MaxUses    int
	Channels   int
	SessionMax time.Duration
	Desktop    Desktop
}

// Ticket is the answer to a TicketRequest. The secret is not kept.
type Ticket struct {
	Secret    Secret
	ID        string
	ExpiresAt time.Time
}
