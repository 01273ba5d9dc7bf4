package gateway

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"vdi-gateway/gateway/kernel"
)

// ErrSlotTaken is what a node answers that knows another, older grant on the
// client's port.
var ErrSlotTaken = errors.New("another connection holds this port for this client")

// Record is a grant as the nodes of a cluster know it. Value is the gateway's
// own affair.
type Record struct {
	ID      ConnectionID
	Expires time.Time // zero: never
	Value   []byte
	// Lasting: its session may outlive the process, since the kernel carries it.
	Lasting bool
}

// Directory is what the nodes know of each other's grants. Spread and Forget
// are called under the gateway's lock: they must not wait, nor call it.
type Directory interface {
	// Share has every living node know a grant before it returns, within
	// bounds; ErrSlotTaken when one of them refuses it.
	Share(ctx context.Context, r Record) error
	// Spread does the same without waiting, and nobody refuses.
	Spread(r Record)
	// Forget tells that a grant has ended.
	Forget(id ConnectionID)
	// Living are the nodes that are alive, this one included.
	Living() []netip.Addr
	// Reopen asks the node that has the caller's own grant for it.
	Reopen(ctx context.Context, node netip.Addr, r Reopening) (Grant, error)
}

// Flows is what the nodes know of connections that a kernel carries. Its methods must
// not wait.
type Flows interface {
	kernel.Directory
	// All are those that are known, whoever carries them.
	All() []kernel.Record
	// Discard forgets one that nobody can carry on.
	Discard(id string)
}

// alone is the directory of a node that has no others.
type alone struct{}

// noFlows is what it knows of flows beyond its own.
type noFlows struct{}

func (noFlows) Spread(kernel.Record) {}
func (noFlows) Forget(string)        {}
func (noFlows) All() []kernel.Record { return nil }
func (noFlows) Discard(string)       {}

func (alone) Share(context.Context, Record) error { return nil }
func (alone) Spread(Record)                       {}
func (alone) Forget(ConnectionID)                 {}
func (alone) Living() []netip.Addr                { return nil } // there is nothing of others to ask this for
func (alone) Reopen(context.Context, netip.Addr, Reopening) (Grant, error) {
	return Grant{}, ErrNotFound
}
