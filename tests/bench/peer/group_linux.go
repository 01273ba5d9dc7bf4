package peer

import (
	"errors"
	"time"

	"vdi-gateway/tests/node"
)

// Of is a node of the product as a relay, so that its use can be measured.
func Of(n *node.Node) *Relay { return &Relay{process: product{n}} }

// Group is relays that a connection goes through.
type Group []*Relay

// CPU is what all have used.
func (g Group) CPU() (total time.Duration, err error) {
	for _, r := range g {
		used, uerr := r.CPU()
		total, err = total+used, errors.Join(err, uerr)
	}
	return total, err
}

// Memory is what is resident of all, in bytes.
func (g Group) Memory() (total int64, err error) {
	for _, r := range g {
		used, uerr := r.Memory()
		total, err = total+used, errors.Join(err, uerr)
	}
	return total, err
}

// Descriptors are those that all have open.
func (g Group) Descriptors() (total int, err error) {
	for _, r := range g {
		used, uerr := r.Descriptors()
		total, err = total+used, errors.Join(err, uerr)
	}
	return total, err
}
