package rules

import (
	"fmt"

	"github.com/google/nftables"
)

// The names of our counters.
const (
	refused   = "refused"
	denied    = "denied"
	limited   = "limited"
	dropped   = "dropped"
	condemned = "condemned"
)

var counterNames = []string{refused, denied, limited, dropped, condemned}

// Counters are packets since the table was made.
type Counters struct {
	// Refused are connections that got a reset instead of a VM; Denied and Limited are
	// those of them that the access list did not let in, and that were too many.
	Refused, Denied, Limited uint64
	// Dropped are packets that belonged to no flow.
	Dropped uint64
	// Condemned are packets of flows that were to end, each answered with a reset.
	Condemned uint64
}

// Counters reads the counters. Without a table they are all zero.
func (r *Rules) Counters() (Counters, error) {
	c, err := connect()
	if err != nil {
		return Counters{}, err
	}
	n, err := readCounters(c)
	return Counters{
		Refused: n[refused], Denied: n[denied], Limited: n[limited],
		Dropped: n[dropped], Condemned: n[condemned],
	}, err
}

// readCounters is the packets of each counter in the table.
func readCounters(c *nftables.Conn) (map[string]uint64, error) {
	objects, err := c.GetObjects(table())
	if err != nil {
		return nil, fmt.Errorf("read the counters of table %s: %w", tableName, err)
	}
	packets := map[string]uint64{}
	for _, o := range objects {
		if counter, ok := o.(*nftables.CounterObj); ok {
			packets[counter.Name] = counter.Packets
		}
	}
	return packets, nil
}
