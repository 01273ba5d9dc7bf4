// Package peer carries requests between the nodes of a cluster, sealed, over the
// API's port.
//
// # Use
//
// A Server answers the names that Handle registered; mount it at Path. A Client
// calls them by Call. Both take the same Config, start nothing by themselves and
// work from the first Apply on; the zero Config is a node alone, which calls
// nobody and answers nobody.
//
// # What is on the wire
//
// POST Path+NAME over HTTP/1.1, from the own address to the other node's, with TLS
// around it or without (see api/certificate, which node may answer). The body, and
// that of the answer, is a header and AES-256-GCM of the rest:
//
//	version 1 | key id 8 | salt 16 | count 8 | ciphertext and tag
//
// The key id tells which of the keys it is. Every sender draws a salt at each
// Apply and seals under a key of its own, derived by HKDF-SHA256 (RFC 5869) from
// the shared one, the salt and the direction; so its nonces may simply count.
// Salt and count are the request's id. An answer authenticates the header of its
// request, too, and fits no other.
//
// Inside a request: the time (Unix, ns, 8 bytes), both nodes' addresses (16
// each), the instance of the receiver (16), the name (one byte of length), the
// body. Inside an answer: a byte that tells what it is, and the body.
//
// # What is refused
//
// Requests from other addresses than the nodes', for other nodes, not sealed by
// one of the keys, more than MaxSkew away from the own clock, seen before, or too
// large. Counts seen are kept per sender for as long as its requests are young
// enough. They are gone after a restart or another Config, and then the instance
// differs, which the Server draws anew: a request that names another one has no
// effect and is answered with the right one, and Call sends it again. A stranger
// hears 404 or 401 without a body; Stats tells why.
package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Limits of what nodes say to each other.
const (
	// Path is the root of all requests between nodes.
	Path = "/internal/"
	// MaxRequest and MaxAnswer bound bodies, in bytes.
	MaxRequest = 1 << 20
	MaxAnswer  = 8 << 20
	// MaxSkew is how far the clocks of two nodes may be apart, with the
	// request's time on the way.
	MaxSkew = 30 * time.Second

	maxName = 64 // bytes
)

// ErrUnreachable is what Call returns, wrapped, when the other node gave no
// answer: it is down, far, slow, no node, or does not trust this one. Whether it
// acted is not known.
var ErrUnreachable = errors.New("the node cannot be reached")

// ErrLoop is what Call returns inside a handler, see Allow.
var ErrLoop = errors.New("a handler of a node's request may not call nodes")

// Failure is an answer that refuses: the handler ran and returned an error, or
// there is none of this name. Handlers return one to choose its code; other
// errors of theirs travel as CodeFailed.
type Failure struct {
	Code    string // for programs, 255 bytes at most
	Message string // for people, 64 KiB at most; without secrets
}

// Codes of failures that do not come from a handler's choice.
const (
	CodeFailed   = "failed"
	CodeUnknown  = "unknown_request" // no handler: the nodes' versions differ
	CodeTooLarge = "too_large"       // the answer exceeds MaxAnswer
)

// Error is the message.
func (f *Failure) Error() string { return f.Message }

// Config is who the nodes are. The zero value is a node alone.
type Config struct {
	Node  netip.Addr   // this node: source of its requests
	Nodes []netip.Addr // all nodes; whether Node is among them does not matter
	Port  uint16       // of the API on every node
	Keys  []string     // shared by all nodes; the first one seals, all open
	TLS   bool         // around it; the Server serves without as well
}

func (c Config) equal(o Config) bool {
	return c.Node == o.Node && c.Port == o.Port && c.TLS == o.TLS && slices.Equal(c.Nodes, o.Nodes) && slices.Equal(c.Keys, o.Keys)
}

// checked returns a copy that the caller cannot change, or what is missing.
func (c Config) checked() (Config, error) {
	if c.equal(Config{}) {
		return c, nil
	}
	if !c.Node.IsValid() || c.Port == 0 || len(c.Keys) == 0 || slices.Contains(c.Keys, "") {
		return c, fmt.Errorf("requests between nodes need the own address, the API's port and keys that are not empty")
	}
	c.Nodes, c.Keys = slices.Clone(c.Nodes), slices.Clone(c.Keys)
	return c, nil
}

// other tells whether a is a node other than this one.
func (c Config) other(a netip.Addr) bool { return a != c.Node && slices.Contains(c.Nodes, a) }
