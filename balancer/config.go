package balancer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// nodesMax is the size of a cluster.
	nodesMax = 16
	// connectionsMax bounds the connections of all fronts when the settings set
	// no limit, since anybody may open them.
	connectionsMax = 20000
)

// Algorithm places clients whose network has not been here before.
type Algorithm string

// The algorithms.
const (
	LeastConn  Algorithm = "leastconn"  // the node with the fewest connections
	RoundRobin Algorithm = "roundrobin" // one node after the other
	Rendezvous Algorithm = "rendezvous" // the same node for the same client, as long as it is there
)

// Config is everything a Balancer should be.
type Config struct {
	Enabled  bool         // false: no fronts and no checks
	Node     netip.Addr   // this node; the others are dialled from it
	Virtual  netip.Addr   // where fronts listen; invalid: as if not enabled
	Freebind bool         // bind Virtual before it is on this host
	Fronts   []Front      // names and ports are unique
	Nodes    []netip.Addr // all of them, this one included, 1 to 16
	APIPort  uint16       // where nodes answer GET /readyz

	Algorithm      Algorithm     // "": LeastConn
	StickyTTL      time.Duration // how long an unused sticky entry lives; 0: none are kept
	MaskV4, MaskV6 int           // bits of a client's address that are its network
	MaxConnections int           // of all fronts; 0: 20000
	Timeouts       Timeouts
}

// Front is one port of the virtual address.
type Front struct {
	Name    string // for statistics
	Port    uint16 // on Virtual
	Backend uint16 // on each node
	Sticky  bool   // clients stay with their node
}

// Timeouts of connections through a front.
type Timeouts struct {
	Dial      time.Duration // for all nodes of a list, in equal shares; 0: the kernel's
	HalfClose time.Duration // silence after one side has finished; 0: for ever
	Keepalive time.Duration // TCP_KEEPIDLE, rounded up to seconds; 0: no probes
	User      time.Duration // TCP_USER_TIMEOUT; 0: the kernel's
}

// serves tells whether there is anything to do.
func (c Config) serves() bool { return c.Enabled && c.Virtual.IsValid() }

// listen is where a front listens.
func (c Config) listen(f Front) netip.AddrPort { return netip.AddrPortFrom(c.Virtual, f.Port) }

// source is the network of a client.
func (c Config) source(client netip.Addr) netip.Prefix {
	bits := c.MaskV6
	if client.Is4() {
		bits = c.MaskV4
	}
	p, _ := client.Prefix(bits) // bits were checked
	return p
}

// filled is c with what it leaves open, sharing nothing with it.
func (c Config) filled() Config {
	c.Fronts, c.Nodes = slices.Clone(c.Fronts), slices.Clone(c.Nodes)
	if c.Algorithm == "" {
		c.Algorithm = LeastConn
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = connectionsMax
	}
	if !c.serves() {
		c.Fronts, c.Nodes = nil, nil
	}
	return c
}

// check names the first thing a filled config has wrong.
func (c Config) check() error {
	switch {
	case !c.serves():
		return nil
	case len(c.Nodes) < 1 || len(c.Nodes) > nodesMax:
		return fmt.Errorf("balancer: %d nodes: give 1 to %d", len(c.Nodes), nodesMax)
	case !slices.Contains(c.Nodes, c.Node):
		return fmt.Errorf("balancer: node %s is not among the nodes: add it", c.Node)
	case c.APIPort == 0:
		return errors.New("balancer: no port of the API: checks need one")
	case !slices.Contains([]Algorithm{LeastConn, RoundRobin, Rendezvous}, c.Algorithm):
		return fmt.Errorf("balancer: algorithm %q: use leastconn, roundrobin or rendezvous", c.Algorithm)
	case c.MaskV4 < 0 || c.MaskV4 > 32 || c.MaskV6 < 0 || c.MaskV6 > 128:
		return fmt.Errorf("balancer: masks %d and %d: use 0..32 and 0..128", c.MaskV4, c.MaskV6)
	}
	return c.checkFronts()
}

func (c Config) checkFronts() error {
	names, ports := map[string]bool{}, map[uint16]bool{}
	for _, f := range c.Fronts {
		if f.Port == 0 || f.Backend == 0 || names[f.Name] || ports[f.Port] {
			return fmt.Errorf("balancer: front %q on port %d: give every front a name and ports, the same to no two", f.Name, f.Port)
		}
		names[f.Name], ports[f.Port] = true, true
	}
	return nil
}
