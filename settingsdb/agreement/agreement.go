package agreement

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// leaseTime is how long a node is bound to a change that makes no progress.
	leaseTime = 10 * time.Second
	// stepTime bounds one request to a node. Applying ends sessions at worst and
	// binds ports: it takes milliseconds.
	stepTime = 5 * time.Second
	// lookEvery bounds how late a lease ends and a newer revision is noticed.
	lookEvery = 250 * time.Millisecond
	// askEvery is how often a peer is asked what is in force there, though its
	// revision seems to be the own one.
	askEvery = 5 * time.Second
)

// ErrBusy is what a change is refused with while another one is under way on a
// node, or waits to be confirmed, or a node is not yet where the others are.
var ErrBusy = errors.New("another change is under way")

// ErrMoved is that another revision is in force than the one a change was made of.
var ErrMoved = errors.New("the settings have changed meanwhile")

// Rejected says which node cannot do a change, and why.
type Rejected struct {
	Node   netip.Addr
	Reason string
}

// Error names node and reason.
func (r *Rejected) Error() string { return fmt.Sprintf("node %s: %s", r.Node, r.Reason) }

// Hash identifies a document.
type Hash [sha256.Size]byte

// Revision is a document under its number.
type Revision struct {
	Number   int64
	Document []byte
	Author   string
	At       time.Time
	// RollbackAt is when it is undone unless it is confirmed; nil: it stays.
	RollbackAt *time.Time
}

// Hash is that of its document.
func (r Revision) Hash() Hash { return sha256.Sum256(r.Document) }

// Node is what the agreement changes on this node. Its methods are called one at
// a time, but for Current and Known.
type Node interface {
	// Current is the revision in force.
	Current() Revision
	// Known tells whether a document was in force here under this number.
	Known(ctx context.Context, number int64, hash Hash) bool
	// Next is the lowest number that no revision has had here.
	Next(ctx context.Context) (int64, error)
	// Check says why this node cannot have the document; wouldEnd names the
	// connections that it forbids. Unless it is dry, Apply may follow, and what
	// other nodes say by the document's means has to be understood from now on.
	Check(ctx context.Context, document []byte, dry bool) (wouldEnd []string, err error)
	// Apply stores a revision and tries it. An error means that nothing changed.
	Apply(ctx context.Context, r Revision) error
	// Commit puts the revision in force that was applied. superseded tells that
	// it does not follow the one that was in force.
	Commit(ctx context.Context, r Revision, superseded bool) error
	// Undo puts the node back to what is in force, for the reason why.
	Undo(ctx context.Context, r Revision, why string)
	// Confirm has the revision in force stay.
	Confirm(ctx context.Context, number int64) error
}

// Peers are the other nodes.
type Peers interface {
	// Living are all living nodes, this one included.
	Living() []netip.Addr
	// Call brings a message to Receive of another node. It gives up when ctx
	// ends.
	Call(ctx context.Context, to netip.Addr, message []byte) (answer []byte, err error)
}

// Agreement is one node's part in it.
type Agreement struct {
	own   func() netip.Addr
	node  Node
	peers Peers
	now   func() time.Time
	log   logrus.FieldLogger

	acting sync.Mutex // one call of node's methods at a time

	mu    sync.Mutex
	lease *lease
	seen  map[netip.Addr]sight
	poked chan struct{} // capacity 1: look now
	lost  string        // what this node last gave up for another half's settings
}

// lease binds this node to one change.
type lease struct {
	proposal
	until   time.Time
	applied bool
}

// New returns the agreement of a node, which starts nothing. own is the node's
// address; now tells the time.
func New(own func() netip.Addr, node Node, peers Peers, now func() time.Time, log logrus.FieldLogger) *Agreement {
	return &Agreement{
		own: own, node: node, peers: peers, now: now, log: log,
		seen: map[netip.Addr]sight{}, poked: make(chan struct{}, 1),
	}
}

// Run ends leases and catches up until ctx is done.
func (a *Agreement) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.poked:
		case <-tick.C:
		}
		a.endLease(ctx)
		a.catchUp(ctx)
	}
}

// Busy tells whether this node is bound to a change.
func (a *Agreement) Busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lease != nil && a.now().Before(a.lease.until)
}

// Superseded says what this node gave up for the settings of others; "" when
// nothing was since the start.
func (a *Agreement) Superseded() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

func (a *Agreement) poke() {
	select {
	case a.poked <- struct{}{}:
	default:
	}
}

// endLease undoes a change whose coordinator has fallen silent.
func (a *Agreement) endLease(ctx context.Context) {
	a.acting.Lock()
	defer a.acting.Unlock()
	a.mu.Lock()
	l := a.lease
	if l == nil || a.now().Before(l.until) {
		a.mu.Unlock()
		return
	}
	a.lease = nil
	a.mu.Unlock()
	if l.applied {
		a.node.Undo(ctx, l.revision(), "the node that made the change fell silent")
	}
}

// members are the living nodes that a change concerns, in the order in which
// leases are taken.
func (a *Agreement) members(among []netip.Addr) []netip.Addr {
	own := a.own()
	list := []netip.Addr{own}
	for _, m := range a.peers.Living() {
		if m != own && (among == nil || slices.Contains(among, m)) {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}
